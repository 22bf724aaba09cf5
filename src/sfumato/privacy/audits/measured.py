"""What a reconstruction is worth in a scene, with standard errors that seeds can be put on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, final

from torch import Tensor, nn

from sfumato.objectives.within import class_means as means_of
from sfumato.privacy.attacks.scene import Scene
from sfumato.privacy.measures import Estimate, measure
from sfumato.privacy.similarity import squared_error
from sfumato.privacy.statistics import NORMAL, share_error

SHARES = frozenset({"over_half", "accuracy"})

Found: TypeAlias = tuple[float, float | None, bool]
"""A value, its standard error over the records where it is known, and whether it is a share."""


@final
@dataclass(frozen=True)
class Worth:
    """What reconstructions are worth.

    Args:
        figures: by name.
        leaks: of each record `[N]`.
        errors: the squared error of each record `[N]`.
    """

    figures: dict[str, Found]
    leaks: Tensor
    errors: Tensor


def worth(scene: Scene, guess: Tensor, judge: nn.Module | None) -> Worth:
    """Hold reconstructions `[N, *record]` against the attacked records.

    Raises:
        DataError: they have another shape, or are not finite.
    """
    records, labels = scene.target.inputs, scene.target.labels
    found = measure(guess, records, labels, class_means(scene), classifier=judge)
    figures = {name: _found(name, value) for name, value in found.figures().items()}
    return Worth(figures, found.per_record, squared_error(guess, records))


def class_means(scene: Scene) -> Tensor:
    """The mean of the auxiliary records of each class `[C, *record]`: what the label alone tells.

    Of all of them for an absent class.
    """
    known = scene.auxiliary
    return means_of(known.inputs, known.labels, scene.num_classes)


def total_leak(errors: Tensor, base: Tensor) -> float:
    """1 - Σ errors / Σ base, of the squared errors `[N]` of attacker and class mean."""
    return float(1 - errors.double().sum() / base.double().sum().clamp(min=1e-12))


def _found(name: str, value: Estimate) -> Found:
    if name in SHARES:
        return value.value, share_error(value.value, value.n), True
    return value.value, (value.high - value.low) / (2 * NORMAL), False
