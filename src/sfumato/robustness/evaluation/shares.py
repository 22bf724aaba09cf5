"""Accuracies with an interval, and whether two of the same records differ beyond chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from torch import Tensor

from sfumato.errors import DataError

NORMAL = 1.959964
"""The 97.5 % point of the normal law."""
BEYOND_CHANCE = 3.0
"""Standard errors beyond which a difference is no chance: one in 740 for a one-sided normal."""


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


def beyond_chance(better: Tensor, worse: Tensor) -> bool:
    """Whether `better` is above `worse` beyond chance, on the same records, both `[N]` in [0, 1].

    The mean of the differences against its standard error, with one record more that differs by 1
    either way, so that a handful of records cannot pass.
    """
    difference = (better - worse).double()
    n = len(difference)
    error = math.sqrt(float(difference.var(unbiased=False)) / n + 1 / n**2)
    return float(difference.mean()) > BEYOND_CHANCE * error
