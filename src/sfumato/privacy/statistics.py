"""Figures over seeds with a confidence interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import final

import torch
from torch import Tensor

from sfumato.errors import DataError

NORMAL = 1.959964
"""The 97.5 % point of the normal law."""

# The 97.5 % points of Student's law with 1, 2, ... degrees of freedom.
_STUDENT = (
    12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281, 2.2010, 2.1788,
    2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860, 2.0796, 2.0739, 2.0687, 2.0639,
)  # fmt: skip


@final
@dataclass(frozen=True)
class Figure:
    """One measured quantity over the seeds.

    Args:
        mean: over the seeds.
        std: over the seeds (N - 1); 0 for a single one.
        n: how many seeds.
        low: lower end of the 95 % confidence interval.
        high: upper end.
    """

    mean: float
    std: float
    n: int
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"

    @classmethod
    def of(
        cls,
        values: Sequence[float],
        errors: Sequence[float] | None = None,
        *,
        share: bool = False,
    ) -> Figure:
        """The figure of one value per seed.

        All seeds attack the same records, so that what the choice of records adds does not shrink
        with the number of seeds. With e the root mean square of `errors`, s the standard
        deviation over the seeds and t Student's 97.5 % point, half the interval is
        √((1.96 e)² + t² max(0, s² - e²) / n): the second term is what the seeds vary beyond what
        draws and records explain. With one seed it is not known and left out.

        Args:
            values: one per seed.
            errors: the standard error of each, from its records; none where it is not known.
            share: whether the values lie in [0, 1], so that the interval does too.

        Raises:
            DataError: no values, or one is NaN.
        """
        listed = [float(value) for value in values]
        if not listed or any(math.isnan(value) for value in listed):
            raise DataError(f"a figure needs values that are numbers, not {listed}")
        spread = stdev(listed) if len(listed) > 1 else 0.0
        within = fmean(error * error for error in errors) if errors is not None else 0.0
        beyond = max(0.0, spread**2 - within) / len(listed)
        seeds = student(len(listed) - 1) * math.sqrt(beyond) if beyond else 0.0
        half, mean = math.hypot(NORMAL * math.sqrt(within), seeds), fmean(listed)
        low, high = mean - half, mean + half
        if share:
            low, high = max(0.0, low), min(1.0, high)
        return cls(mean, spread, len(listed), low, high)


def student(freedom: int) -> float:
    """The 97.5 % point of Student's law; that of the normal law beyond the table."""
    return _STUDENT[freedom - 1] if freedom <= len(_STUDENT) else NORMAL


def share_error(share: float, count: int) -> float:
    """The standard error of the mean of `count` values in [0, 1]; at most √(p (1 - p) / n).

    At p = 0 or 1 that would be 0, which no finite number of records can show: half a record is
    added on either side (Agresti and Coull, 1998, use two).
    """
    p = (share * count + 0.5) / (count + 1)
    return math.sqrt(max(p * (1 - p), 0.0) / max(count, 1))


def leak_error(error: Tensor, label_only: Tensor) -> float:
    """The standard error of 1 - Σ error / Σ label_only over the records, both `[N]`.

    A ratio of two means, to first order (the delta method).
    """
    if len(error) < 2:
        return 0.0
    error, label_only = error.double(), label_only.double()
    base = label_only.mean().clamp(min=torch.finfo(torch.float64).tiny)
    influence = (error - error.mean() / base * label_only) / base
    return float(influence.std() / math.sqrt(len(error)))
