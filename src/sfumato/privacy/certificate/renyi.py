"""Rényi divergences of Gaussians of differing scale, and their conversion to (ε, δ)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from sfumato.errors import SettingError
from sfumato.privacy.certificate.checks import (
    check_delta,
    check_diameter,
    check_order,
    check_scale,
)

Curve = Callable[[float], float]
ORDERS = tuple(1 + 10 ** (k / 8) for k in range(-40, 57))
"""Where the conversion looks first: α - 1 from 1e-5 to 1e7, eight to a decade."""


def renyi_gaussian(
    order: float, diameter: float, low: float, high: float, dimensions: int = 1
) -> float:
    """The largest Rényi divergence of two d-dimensional Gaussians with scales in [low, high].

    With t = high² / low² and v = α low² - (α - 1) high²,

        α D² / (2 v) + d / (2 (1 - α)) · [log(α - (α - 1) t) + (α - 1) log t]

    where v > 0, else infinite (Gil, Alajaji & Linder 2013; the worst case has the first scale at
    `high` and the second at `low` in every element). The second term grows with d even where the
    locations are equal: a scale that depends on the record costs dimensions.

    Args:
        order: α, above 1.
        diameter: D, the largest Euclidean distance of two locations.
        low: the smallest scale there can be, above 0.
        high: the largest.
        dimensions: d, the elements of a release.

    Raises:
        SettingError: a figure outside of what it may be.

    Example:
        >>> renyi_gaussian(2.0, diameter=1.0, low=1.0, high=1.0)
        1.0
    """
    check_diameter(diameter)
    if dimensions < 1:
        raise SettingError(f"dimensions must be at least 1, not {dimensions}")
    term = renyi_scales(order, low, high)
    if term == math.inf:
        return math.inf
    left = 1 - (order - 1) * _excess(low, high)  # v / low²
    return order / 2 * (diameter / low) ** 2 / left + dimensions * term


def renyi_scales(order: float, low: float, high: float) -> float:
    """The part of `renyi_gaussian` that one element costs, the locations being equal."""
    check_order(order)
    check_scale(low=low, high=high)
    if low > high:
        raise SettingError(f"the smallest scale, {low}, is above the largest, {high}")
    excess = _excess(low, high)  # t - 1
    if not (order - 1) * excess < 1:
        return math.inf
    # log(α - (α - 1) t) = log(1 - (α - 1) (t - 1)): with log1p nothing cancels where t is near 1.
    first, second = math.log1p(-(order - 1) * excess), (order - 1) * math.log1p(excess)
    return max(0.0, (first + second) / (2 * (1 - order)))


def renyi_epsilon(curve: Curve, delta: float, orders: Sequence[float] | None = None) -> float:
    """The smallest ε at δ that follows from Rényi divergences.

    For each order α: ε = D_α + log(1 - 1/α) - log(δ α) / (α - 1) (Canonne, Kamath & Steinke 2020,
    proposition 12); 0 where δ² > 1 - e^{-D_α}, as the total variation is below δ then.

    Args:
        curve: the divergence as a function of its order; infinite where there is none.
        delta: δ, above 0 and below 1.
        orders: those to look at; by default a grid over all orders, refined around the best.

    Returns:
        ε, at least 0; infinite where no order gives one.

    Raises:
        SettingError: δ or an order outside of what it may be, or a divergence below 0 or NaN.
    """
    check_delta(delta)
    points = ORDERS if orders is None else tuple(orders)
    found = [_convert(curve, order, delta) for order in points]
    if not found:
        raise SettingError("renyi_epsilon needs at least one order")
    best = min(range(len(found)), key=found.__getitem__)
    if orders is not None or not 0 < found[best] < math.inf:
        return found[best]
    low, high = points[max(0, best - 1)], points[min(len(points) - 1, best + 1)]
    return min(found[best], _smallest(lambda a: _convert(curve, a, delta), low, high))


def _excess(low: float, high: float) -> float:
    """high² / low² - 1."""
    ratio = high / low
    return (ratio - 1) * (ratio + 1)


def _convert(curve: Curve, order: float, delta: float) -> float:
    check_order(order)
    divergence = curve(order)
    if not divergence >= 0:
        raise SettingError(f"the Rényi divergence of order {order} must be 0 or more: {divergence}")
    if divergence == math.inf:
        return math.inf
    if delta * delta + math.expm1(-divergence) > 0:
        return 0.0
    bits = math.log(delta) + math.log(order)
    return max(0.0, divergence + math.log1p(-1 / order) - bits / (order - 1))


def _smallest(f: Curve, low: float, high: float) -> float:
    """The smallest value that a golden-section search over log(α - 1) meets."""
    a, b, golden = math.log(low - 1), math.log(high - 1), (math.sqrt(5) - 1) / 2
    best = math.inf
    for _ in range(25):
        left, right = b - golden * (b - a), a + golden * (b - a)
        values = f(1 + math.exp(left)), f(1 + math.exp(right))
        best = min(best, *values)
        a, b = (a, right) if values[0] <= values[1] else (left, b)
    return best
