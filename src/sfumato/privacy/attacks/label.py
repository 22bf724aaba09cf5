"""Label leakage: is the class written into the release."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from sfumato.errors import DataError
from sfumato.privacy.attacks.base import Attack, Outcome
from sfumato.privacy.attacks.densities import log_likelihood
from sfumato.privacy.attacks.fresh import fresh
from sfumato.privacy.attacks.moments import known_law
from sfumato.privacy.attacks.reader import Reader, ReaderSettings
from sfumato.privacy.attacks.scene import Scene
from sfumato.privacy.attacks.summary import fresh_of, shown_of, summary_of
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

        def draw(index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            labels = torch.randint(classes, (len(index),))
            seen = fresh(scene.mechanism, known.inputs[index], labels, scene.releases)
            return seen, torch.zeros_like(labels), labels

        reader = Reader(draw, len(known), 1, classes, self.settings, scene.seed)
        x = scene.target.inputs[: max(20, _RELEASES // classes)]
        labels = torch.arange(classes).repeat_interleave(len(x))
        x = x.repeat(classes, *[1] * (x.dim() - 1))
        seen = fresh(scene.mechanism, x, labels, scene.releases)
        figures = {"constant_image": _share(reader.read(seen, torch.zeros_like(labels)), labels)}
        if scene.model is not None:
            figures["constant_image_model"] = _share(predictions(scene.model, seen), labels)
        return figures | _from_laws(scene, seen, x, labels)


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
