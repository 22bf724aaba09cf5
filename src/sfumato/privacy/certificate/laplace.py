"""Laplace noise whose scale does not depend on x: pure ε, and the Rényi divergence."""

from __future__ import annotations

import math

from sfumato.privacy.certificate.checks import (
    check_diameter,
    check_order,
    check_releases,
    check_scale,
)


def laplace_epsilon(l1_diameter: float, scale: float, releases: int = 1) -> float:
    """Pure ε = K D₁ / b of m(x) + b · Laplace noise (Dwork et al. 2006, proposition 1).

    It holds only for a scale that does not depend on x: with two scales the ratio of the densities
    has no bound. For many releases or many elements `renyi_epsilon` over `laplace_renyi` is
    smaller, at a δ above 0.

    Args:
        l1_diameter: the largest sum of absolute differences of two locations; with a scale for
            each element, the sum of differences over scales, and `scale` 1.
        scale: b, in the same units.
        releases: K, the releases of one record that someone may hold.

    Raises:
        SettingError: a figure outside of what it may be.
    """
    check_diameter(l1_diameter)
    check_scale(scale=scale)
    check_releases(releases)
    return math.inf if l1_diameter == math.inf else releases * (l1_diameter / scale)


def laplace_renyi(order: float, distance: float) -> float:
    """The Rényi divergence of order α of two Laplace laws of scale 1, `distance` r apart.

    1 / (α - 1) · log(α / (2α - 1) e^{(α - 1) r} + (α - 1) / (2α - 1) e^{-α r}) (Mironov 2017,
    proposition 6). Over independent elements and releases it adds up.

    Raises:
        SettingError: an order that is not above 1, or a negative distance.
    """
    check_order(order)
    check_diameter(distance)
    if distance == math.inf:
        return math.inf
    a, r = order, distance
    # Relative to the larger term: r + log(...) / (α - 1), with a logarithm that is at most 0.
    rest = -(a - 1) / (2 * a - 1) * -math.expm1(-(2 * a - 1) * r)
    return max(0.0, r + math.log1p(rest) / (a - 1))
