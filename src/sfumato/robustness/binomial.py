"""Exact statements about a probability from a count of draws."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from sfumato.errors import SettingError


@lru_cache(maxsize=4096)
def lower_bound(successes: int, n: int, alpha: float) -> float:
    """A p that is at most the true probability, but for one case in 1 / alpha.

    The one-sided interval of Clopper and Pearson (1934): the p with P(X ≥ successes) = alpha where
    X ~ Binomial(n, p), rounded down.

    Args:
        successes: how many draws succeeded, 0 to n.
        n: how many draws were made.
        alpha: the probability of a false statement.

    Raises:
        SettingError: counts that do not fit each other, or alpha outside (0, 1).

    Example:
        >>> round(lower_bound(1000, 1000, 0.001), 6)  # alpha ** (1 / n)
        0.993116
    """
    _check(successes, n, alpha)
    if successes == 0:
        return 0.0
    counts = torch.arange(successes, n + 1, dtype=torch.float64)
    ways, rest = _log_ways(counts, n), n - counts
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        logs = ways + counts * math.log(middle) + rest * math.log1p(-middle)
        likely = float(logs.logsumexp(0)) > math.log(alpha)
        low, high = (low, middle) if likely else (middle, high)
    return low


def sign_test(first: int, second: int) -> float:
    """How likely two counts at least so different are where both classes are equally likely.

    Args:
        first: draws that gave one class.
        second: draws that gave the other.

    Returns:
        The two-sided p-value of X ~ Binomial(first + second, 1/2); 1 without any draw.
    """
    return min(1.0, 2 * at_least(max(first, second), first + second, 0.5))


def at_least(successes: int, n: int, p: float) -> float:
    """P(X ≥ successes) where X ~ Binomial(n, p), for p in (0, 1); 1 where successes is 0."""
    if successes <= 0:
        return 1.0
    counts = torch.arange(successes, n + 1, dtype=torch.float64)
    logs = _log_ways(counts, n) + counts * math.log(p) + (n - counts) * math.log1p(-p)
    return min(1.0, math.exp(float(logs.logsumexp(0))))


def _log_ways(counts: Tensor, n: int) -> Tensor:
    """The logarithm of n over k, for every k of `counts`."""
    return math.lgamma(n + 1) - torch.lgamma(counts + 1) - torch.lgamma(n - counts + 1)


def _check(successes: int, n: int, alpha: float) -> None:
    if not (n >= 1 and 0 <= successes <= n):
        raise SettingError(f"{successes} of {n} draws: n must be at least 1, and no count above it")
    if not 0 < alpha < 1:
        raise SettingError(f"alpha must lie inside (0, 1), not {alpha}")
