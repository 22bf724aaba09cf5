"""Accuracies with an interval, and whether two of the same records differ beyond chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from sfumato.errors import DataError
from sfumato.robustness.binomial import at_least

NORMAL = 1.959964
"""The 97.5 % point of the normal law."""
CHANCE = 0.00135
"""The probability with which a verdict may be chance, one in 740: three standard errors of a
one-sided normal."""
EXACT = 16
"""With no more records that differ than these, the probability is counted, not approximated."""


@final
@dataclass(frozen=True)
class Share:
    """A mean over records of values in [0, 1], with its 95 % interval.

    Args:
        mean: over the records.
        low: lower end of the interval.
        high: upper end.
        n: how many records.
    """

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{100 * self.mean:.1f} % [{100 * self.low:.1f}, {100 * self.high:.1f}]"

    @classmethod
    def of(cls, values: Tensor) -> Share:
        """The share of one value in [0, 1] per record, `[N]`.

        Wilson's interval (1927): with z = 1.96 and p the mean, the p' with
        (p' - p)² ≤ z² p' (1 - p') / N. Values between 0 and 1 vary less than zeros and ones of the
        same mean, so that for shares of draws the interval is wider than it need be.

        Raises:
            DataError: no records.
        """
        n = len(values)
        if n == 0:
            raise DataError("a share needs at least one record")
        mean = float(values.double().mean())
        centre, z2 = mean + NORMAL**2 / (2 * n), NORMAL**2
        half = NORMAL * math.sqrt(mean * (1 - mean) / n + z2 / (4 * n * n))
        low, high = (centre - half) / (1 + z2 / n), (centre + half) / (1 + z2 / n)
        # at 0 and 1 the ends are exact; rounding would put them a hair off
        return cls(mean, max(0.0, min(low, mean)), min(1.0, max(high, mean)), n)


def chance_of_difference(better: Tensor, worse: Tensor) -> float:
    """The probability that `better` is so far above `worse`, both `[N]`, by chance alone.

    The mean of the differences against its standard error, with one record more that differs by 1
    either way, as a one-sided normal. On a handful of records the normal law flatters: where at
    most `EXACT` of them differ, the probability is no less than the exact one, that of equal
    attacks, under which each difference could as well be the other way round.
    """
    difference = (better - worse).double()
    n = len(difference)
    error = math.sqrt(float(difference.var(unbiased=False)) / n + 1 / n**2)
    chance = 0.5 * math.erfc(float(difference.mean()) / error / math.sqrt(2))
    apart = difference[difference != 0]
    if len(apart) > EXACT:
        return chance
    sums = torch.zeros(1, dtype=torch.float64, device=apart.device)
    for one in apart:
        sums = torch.cat([sums + one, sums - one])
    return max(chance, float((sums >= apart.sum() - 1e-9).double().mean()))


def chance_of_count(count: float, n: int, share: float) -> float:
    """The probability of `count` or more among `n` records, each with probability `share`.

    Shares of draws are summed up, and counted as the whole number below.
    """
    return at_least(math.floor(count + 1e-9), n, share)
