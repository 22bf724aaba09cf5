"""Attribute inference: read something of the record that its label does not fix."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, final

import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato.data.records import Records
from sfumato.errors import DataError
from sfumato.privacy.attacks.base import Attack, Outcome
from sfumato.privacy.attacks.reader import Reader, ReaderSettings
from sfumato.privacy.attacks.scene import Scene
from sfumato.privacy.attacks.summary import fresh_of, shown_of, summary_of
from sfumato.train.seed import seeded

Attribute: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Records `[N, ...]` and labels `[N]` -> an attribute of each, `[N]`: whole numbers from 0, or
real values, of which the attribute is whether they lie above the median of their class."""


def brightness(inputs: Tensor, labels: Tensor) -> Tensor:
    """The mean of a record: of pictures, how bright it is."""
    del labels
    return inputs.flatten(1).mean(1)


def balance(inputs: Tensor, labels: Tensor) -> Tensor:
    """How far right the mass of a record lies on its last axis: Σ_j t_j x_j, t from -1 to 1.

    Of pictures on a black ground: leaning right or left.
    """
    del labels
    place = torch.linspace(-1, 1, inputs.shape[-1])
    return (inputs * place).flatten(1).mean(1)


@final
class AttributeAttack(Attack):
    """A classifier of the attribute, trained on unlimited fresh draws; the label is public.

    The attacker computes the attribute of its own records, releases them afresh in every step,
    and learns to read the attribute of a release. Real values are cut at the median of their class
    among the auxiliary records, so that the label says nothing of them.

    Chance is the share that the commonest value of the class has among the auxiliary records;
    `majority` is how often that guess is right for the attacked ones.

    Args:
        attribute: what to read: a function of records and labels, `brightness` or `balance` for
            instance, or the attribute itself of the auxiliary and of the attacked records, two
            tensors of whole numbers.
        title: what the attack's name calls it; by default the function's name.
        settings: the budget of the classifier.
    """

    def __init__(
        self,
        attribute: Attribute | tuple[Tensor, Tensor] = brightness,
        *,
        title: str | None = None,
        settings: ReaderSettings | None = None,
    ) -> None:
        self.attribute = attribute
        self.title = title or getattr(attribute, "__name__", "given")
        self.settings = settings or ReaderSettings()

    @property
    def name(self) -> str:
        words = "".join(x if x.isalnum() else "-" for x in self.title.lower()).split("-")
        return "-".join(["attribute", *filter(None, words)])

    def run(self, scene: Scene) -> Outcome:
        """Attack `scene.seen`.

        Raises:
            DataError: the attribute is not one whole number or real value per record, or its label
                fixes it among the auxiliary records.
        """
        with seeded(scene.seed, self.name), torch.no_grad():
            known, wanted = self._values(scene)
            answers = int(max(known.max(), wanted.max())) + 1
            classes, known_labels = scene.num_classes, scene.auxiliary.labels
            counts = F.one_hot(known_labels, classes).T @ F.one_hot(known, answers)
            if int((counts > 0).sum(1).max()) < 2:
                raise DataError(
                    f"{self.title} is the same for all auxiliary records of a class: the label "
                    "says it, there is nothing to infer"
                )

            def draw(index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
                labels = known_labels[index]
                x = scene.auxiliary.inputs[index]
                return fresh_of(scene, summary, x, labels), labels, known[index]

            summary = summary_of(scene)
            seen = shown_of(scene, summary)
            reader = Reader(draw, len(known), classes, answers, self.settings, scene.seed)
            labels = scene.target.labels
            right = (reader.read(seen, labels) == wanted).double().mean()
            linear = reader.ridge.scores(seen, labels).argmax(1) == wanted
            shares = counts.max(1).values / counts.sum(1).clamp(min=1)
            commonest = counts.argmax(1)[labels] == wanted
        figures = {
            "accuracy": float(right),
            "linear_accuracy": float(linear.double().mean()),
            "majority": float(commonest.double().mean()),
        }
        note = f"read by the {reader.kind} reader, {self.settings}"
        return Outcome(figures, "accuracy", float(shares[labels].mean()), notes=(note,))

    def _values(self, scene: Scene) -> tuple[Tensor, Tensor]:
        parts = scene.auxiliary, scene.target
        if isinstance(self.attribute, tuple):
            known, wanted = self.attribute
        else:
            known, wanted = (self.attribute(part.inputs, part.labels) for part in parts)
        for values, part in zip((known, wanted), parts, strict=True):
            self._check(values, part)
        if known.dtype.is_floating_point:
            medians = _medians(known, scene.auxiliary.labels, scene.num_classes)
            known = known > medians[scene.auxiliary.labels]
            wanted = wanted > medians[scene.target.labels]
        return known.long(), wanted.long()

    def _check(self, values: Tensor, part: Records) -> None:
        if values.shape != (len(part),):
            raise DataError(
                f"{self.title} must be one value for each of {len(part)} records, not of shape "
                f"{list(values.shape)}"
            )
        if not bool(torch.isfinite(values).all()) or (
            not values.dtype.is_floating_point and int(values.min()) < 0
        ):
            raise DataError(f"{self.title} must be finite, and from 0 where it is a whole number")


def _medians(values: Tensor, labels: Tensor, classes: int) -> Tensor:
    members = [values[labels == c] for c in range(classes)]
    return torch.stack([(m if len(m) else values).median() for m in members])
