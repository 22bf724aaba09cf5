"""Label leakage: is the class written into the release."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from sfumato.errors import DataError
from sfumato.privacy.attacks.base import Attack, Outcome
from sfumato.privacy.attacks.densities import log_likelihood
from sfumato.privacy.attacks.moments import known_law
from sfumato.privacy.attacks.reader import Reader, ReaderSettings
from sfumato.privacy.attacks.scene import Scene
from sfumato.privacy.attacks.several import Kept
from sfumato.privacy.attacks.summary import Located, fresh_of, shown_of, summary_of, summary_with
from sfumato.train.loop import predictions
from sfumato.train.seed import seeded

_RELEASES = 5000
"""How many releases the constant-image test reads."""
_ROUNDING = 1e-6
"""By what share two log densities may differ and count as equal."""


@final
class LabelAttack(Attack):
    """Reads the label off a release, off the same record under every label, and off the noise.

    * `from_release`: a classifier trained on fresh draws of auxiliary records reads the class of
      one release; `from_clean`: the same classifier on clean records. A record shows its class:
      these two say what obfuscation takes from it or writes into it.
    * `constant_image`, the headline: the same record is released under every label, and a
      classifier trained on such releases reads the label. What it finds is written by the noise,
      for the record is the same. `constant_image_known` is the likeliest label for an attacker
      who has the record too, the most that anyone can read; `constant_image_model` is the label
      that the scene's model gives it: a model that has learned to read the noise, not the record.
    * `from_noise`: the likeliest label of y - location alone: what the noise's scale says.

    Of K releases these read the average and, where scales differ between labels or records, the
    sample variance; where noise is not Gaussian the median too. The model reads the average alone,
    of Laplace noise the best mean of average and median.

    Where the law of a release is the same under every label, the last two are chance, 1 / C, with
    nothing to learn. An unconditional obfuscator is such a one.

    Args:
        settings: the budget of each classifier.
    """

    def __init__(self, settings: ReaderSettings | None = None) -> None:
        self.settings = settings or ReaderSettings()

    @property
    def name(self) -> str:
        return "label"

    def run(self, scene: Scene) -> Outcome:
        """Attack `scene.seen`, and fresh releases of the attacked records under every label.

        Raises:
            DataError: there is one class alone.
        """
        classes = scene.num_classes
        if classes < 2:
            raise DataError("there is one class alone: no label to read")
        with seeded(scene.seed, "label"), torch.no_grad():
            figures = self._from_records(scene)
            written = _depends_on_label(scene)
            if written:
                figures |= self._constant(scene)
            else:
                same = "constant_image", "constant_image_known", "from_noise"
                figures |= dict.fromkeys(same, 1 / classes)
        notes = [f"each classifier: {self.settings}"]
        if not written:
            notes.append("the law of a release is the same under every label: nothing is written")
        return Outcome(figures, "constant_image", 1 / classes, notes=tuple(notes))

    def _from_records(self, scene: Scene) -> dict[str, float]:
        known, target = scene.auxiliary, scene.target

        def released(index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            labels = known.labels[index]
            seen = fresh_of(scene, summary, known.inputs[index], labels)
            return seen, torch.zeros_like(labels), labels

        summary = summary_of(scene)

        def clean(index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            labels = known.labels[index]
            return known.inputs[index], torch.zeros_like(labels), labels

        figures = {}
        for name, draw, seen in (
            ("from_release", released, shown_of(scene, summary)),
            ("from_clean", clean, target.inputs),
        ):
            reader = Reader(draw, len(known), 1, scene.num_classes, self.settings, scene.seed)
            figures[name] = _share(
                reader.read(seen, torch.zeros_like(target.labels)), target.labels
            )
        return figures

    def _constant(self, scene: Scene) -> dict[str, float]:
        known, classes = scene.auxiliary, scene.num_classes
        summary = summary_with(scene, _kept(scene))

        def draw(index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            labels = torch.randint(classes, (len(index),))
            seen = fresh_of(scene, summary, known.inputs[index], labels)
            return seen, torch.zeros_like(labels), labels

        reader = Reader(draw, len(known), 1, classes, self.settings, scene.seed)
        x = scene.target.inputs[: max(20, _RELEASES // classes)]
        labels = torch.arange(classes).repeat_interleave(len(x))
        x = x.repeat(classes, *[1] * (x.dim() - 1))
        seen = fresh_of(scene, summary, x, labels)
        figures = {"constant_image": _share(reader.read(seen, torch.zeros_like(labels)), labels)}
        shape = scene.seen.shape[1:]
        first = seen.flatten(1)[:, : shape.numel()].reshape(-1, *shape)  # what locates the record
        if scene.model is not None:
            figures["constant_image_model"] = _share(predictions(scene.model, first), labels)
        if isinstance(summary, Located):
            return figures | _from_summary(scene, summary, seen.flatten(1).double(), x, labels)
        return figures | _from_laws(scene, first, x, labels)


def _kept(scene: Scene) -> Kept:
    """What tells the label beside the average of K releases: their spread, where scales differ."""
    spread = scene.spread is not None
    if scene.releases > 1 and not spread:
        x = scene.auxiliary.inputs[:64]
        laws = [
            known_law(scene.mechanism, x, torch.full((len(x),), c, device=x.device))
            for c in range(scene.num_classes)
        ]
        variances = [law.variance for law in laws if law is not None]
        spread = not all(torch.allclose(one, variances[0], rtol=1e-4) for one in variances)
    return Kept(spread, scene.median is not None)


def _from_laws(scene: Scene, seen: Tensor, x: Tensor, labels: Tensor) -> dict[str, float]:
    """What the laws tell: the likeliest label of a known record, and of the noise alone."""
    if known_law(scene.mechanism, x[:1], labels[:1]) is None:
        return {}
    likely, noise = [], []
    residual = seen - scene.mechanism.distribution(x, labels).mean.reshape(seen.shape)
    for c in range(scene.num_classes):
        law = scene.mechanism.distribution(x, torch.full_like(labels, c))
        likely.append(log_likelihood(law, seen, scene.releases))
        shifted = residual + law.mean.reshape(seen.shape)
        noise.append(log_likelihood(law, shifted, scene.releases))
    return _told(likely, noise, labels)


def _from_summary(
    scene: Scene, summary: Located, features: Tensor, x: Tensor, labels: Tensor
) -> dict[str, float]:
    """The same of all that K releases tell."""
    likely, noise = [], []
    own = scene.mechanism.distribution(x, labels).mean.flatten(1)
    for c in range(scene.num_classes):
        law = scene.mechanism.distribution(x, torch.full_like(labels, c))
        likely.append(summary.log_likelihood(law, features))
        shifted = features.clone()
        shifted[:, : own.shape[1]] += law.mean.flatten(1).double() - own.double()
        noise.append(summary.log_likelihood(law, shifted))
    return _told(likely, noise, labels)


def _told(likely: list[Tensor], noise: list[Tensor], labels: Tensor) -> dict[str, float]:
    return {
        "constant_image_known": _hits(torch.stack(likely, 1), labels),
        "from_noise": _hits(torch.stack(noise, 1), labels),
    }


def _depends_on_label(scene: Scene) -> bool:
    """Whether a release is likelier under one label than under another."""
    x, labels = scene.auxiliary.inputs[:64], scene.auxiliary.labels[:64]
    seen = scene.mechanism.release(x, labels)
    likely = []
    for c in range(scene.num_classes):
        law = known_law(scene.mechanism, x, torch.full_like(labels, c))
        if law is None:
            return True
        likely.append(log_likelihood(law, seen))
    return any(not torch.equal(other, likely[0]) for other in likely)


def _share(read: Tensor, labels: Tensor) -> float:
    return float((read == labels).double().mean())


def _hits(scores: Tensor, labels: Tensor) -> float:
    """How often the likeliest label is right; nearly equally likely ones share the hit."""
    best = scores >= scores.max(1, keepdim=True).values - _ROUNDING * scores.abs()
    return float((best.gather(1, labels.unsqueeze(1)).squeeze(1) / best.sum(1)).double().mean())
