"""The upper tail of the normal distribution, accurate however far out."""

from __future__ import annotations

import math

_HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)
_FAR = 14.0  # from here on the asymptotic series is exact to rounding
# Gauss-Legendre, 5 points on [-1, 1]
_NODES = (
    (0.0, 128 / 225),
    (0.5384693101056831, 0.47862867049936647),
    (-0.5384693101056831, 0.47862867049936647),
    (0.9061798459386640, 0.23692688505618908),
    (-0.9061798459386640, 0.23692688505618908),
)


def log_density(x: float) -> float:
    """Log φ(x)."""
    return -0.5 * x * x - _HALF_LOG_TAU


def cdf(x: float) -> float:
    """Φ(x)."""
    return 0.5 * math.erfc(-x / math.sqrt(2))


def mills(x: float) -> float:
    """The Mills ratio m(x) = (1 - Φ(x)) / φ(x), for x above -10."""
    if x < _FAR:
        return math.sqrt(math.pi / 2) * math.exp(0.5 * x * x) * math.erfc(x / math.sqrt(2))
    return (1 - _deficit(x)) / x


def mills_drop(x: float, width: float) -> float:
    """m(x) - m(x + width), to full relative precision, for x above -10 and width of at least 0."""
    if width > 0.1 * max(1.0, x):
        return mills(x) - mills(x + width)
    # m' = x m - 1: the two ratios would cancel, their integrated slope does not.
    middle, half = x + width / 2, width / 2
    return half * sum(weight * _fall(middle + half * node) for node, weight in _NODES)


def _fall(x: float) -> float:
    """-m'(x) = 1 - x m(x)."""
    return 1 - x * mills(x) if x < _FAR else _deficit(x)


def _deficit(x: float) -> float:
    """1 - x m(x) = 1/x² - 3/x⁴ + 15/x⁶ - ... for large x."""
    square, term, total = 1 / x / x, 1.0, 0.0
    for k in range(1, 40):
        smaller = -term * (2 * k - 1) * square
        if abs(smaller) < 1e-18 * abs(total):
            break
        term = smaller
        total -= term
    return total
