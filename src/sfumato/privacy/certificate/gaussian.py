"""The analytic Gaussian mechanism: exact (ε, δ) of noise whose scale does not depend on x."""

from __future__ import annotations

import math
from collections.abc import Callable

from sfumato.privacy.certificate.checks import (
    check_delta,
    check_diameter,
    check_epsilon,
    check_releases,
    check_scale,
)
from sfumato.privacy.certificate.tail import cdf, log_density, mills, mills_drop


def gaussian_epsilon(diameter: float, sigma: float, delta: float, releases: int = 1) -> float:
    """The smallest ε at δ of m(x) + σ N(0, 1), where any two m(x) are at most `diameter` apart.

    δ = Φ(μ/2 - ε/μ) - e^ε Φ(-μ/2 - ε/μ) with μ = √K · diameter / σ (Balle & Wang 2018, theorem 8),
    solved for ε. It is exact: no smaller ε holds for all pairs of records. Neighbours are **any
    two records**, so that the diameter is that of the whole range of m, and K releases of one
    record are K draws (K Gaussians of one location are one of σ / √K).

    Args:
        diameter: the largest Euclidean distance of two locations, in units of the release.
        sigma: the scale of the noise, in the same units.
        delta: δ, above 0 and below 1.
        releases: K, the releases of one record that someone may hold.

    Returns:
        ε, at least 0, rounded up; infinite where it is beyond the largest float.

    Raises:
        SettingError: a figure outside of what it may be.

    Example:
        >>> round(gaussian_epsilon(1.0, 1.0, 1e-5), 2)
        4.38
    """
    check_diameter(diameter)
    check_scale(sigma=sigma)
    check_delta(delta)
    check_releases(releases)
    mu = _ratio(diameter, sigma, releases)
    if mu == 0 or math.erf(mu / math.sqrt(8)) <= delta:
        return 0.0
    if mu == math.inf:
        return math.inf
    target = math.log(delta)
    # ε = μ w. Below it, Φ(-u) with u = w - μ/2 is above δ; and Φ(-√(2 log 1/δ)) is not.
    highest = mu / 2 + math.sqrt(-2 * target)
    return mu * _first(lambda w: _log_delta(w - mu / 2, mu) <= target, 0.0, highest)


def gaussian_sigma(diameter: float, epsilon: float, delta: float, releases: int = 1) -> float:
    """The smallest σ at which `gaussian_epsilon` is at most ε.

    Args:
        diameter: the largest Euclidean distance of two locations.
        epsilon: ε, above 0.
        delta: δ, above 0 and below 1.
        releases: K, the releases of one record that someone may hold.

    Returns:
        σ in units of the diameter, rounded up; 0 for a diameter of 0.

    Raises:
        SettingError: a figure outside of what it may be.

    Example:
        >>> sigma = gaussian_sigma(2.0, 1.0, 1e-5)
        >>> round(gaussian_epsilon(2.0, sigma, 1e-5), 9)
        1.0
    """
    check_diameter(diameter)
    check_epsilon(epsilon)
    check_delta(delta)
    check_releases(releases)
    target = math.log(delta)

    def holds(inverse: float) -> bool:
        mu = 1 / inverse
        return _log_delta(epsilon / mu - mu / 2, mu) <= target

    low = high = 1.0
    while not holds(high):
        high *= 2
    while holds(low):
        low /= 2
    return diameter * math.sqrt(releases) * _first(holds, low, high)


def _ratio(diameter: float, sigma: float, releases: int) -> float:
    """μ, infinite where the locations have no bound, however large σ is."""
    return math.inf if diameter == math.inf else diameter / sigma * math.sqrt(releases)


def _log_delta(u: float, mu: float) -> float:
    """Log δ at ε = μ (u + μ/2): δ = φ(u) (m(u) - m(u + μ)) with the Mills ratio m."""
    if u > -5:
        drop = mills_drop(u, mu)
        return log_density(u) + math.log(drop) if drop > 0 else -math.inf
    # Far on this side m(u) overflows, and Φ itself is near 1: nothing cancels.
    return math.log(cdf(-u) - math.exp(log_density(u)) * mills(u + mu))


def _first(holds: Callable[[float], bool], low: float, high: float) -> float:
    """The smallest float in (low, high] at which `holds`, which it does at `high`."""
    while low < (middle := low + (high - low) / 2) < high:
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
