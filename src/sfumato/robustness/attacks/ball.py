"""The ball of an attack: projection, random points, steepest directions, who left it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

import torch
from torch import Tensor

from sfumato.errors import SettingError

Norm: TypeAlias = Literal["linf", "l2"]
TOLERANCE = 1e-5
"""By how much rounding may leave the ball, in units of its radius (of 1 where that is larger)."""
TINY = 1e-12


@final
@dataclass(frozen=True)
class Ball:
    """All x' with |x' - x| ≤ ε and low ≤ x' ≤ high.

    Args:
        epsilon: the radius, in units of the inputs.
        norm: "linf" or "l2", over all values of a record.
        bounds: what values may be.

    Raises:
        SettingError: a radius that is not above 0, an unknown norm, or empty bounds.
    """

    epsilon: float
    norm: Norm
    bounds: tuple[float, float]

    def __post_init__(self) -> None:
        if not 0 < self.epsilon < math.inf:
            raise SettingError(f"epsilon must be above 0 and finite, not {self.epsilon}")
        if self.norm not in ("linf", "l2"):
            raise SettingError(f"unknown norm {self.norm!r}: use 'linf' or 'l2'")
        low, high = self.bounds
        if not low < high:
            raise SettingError(f"bounds are (lowest, highest) value, not {self.bounds}")

    def project(self, point: Tensor, centre: Tensor) -> Tensor:
        """The point of the ball near `point`: into the ε-ball first, then into the bounds.

        Clamping to bounds that hold the centre never makes a perturbation larger.
        """
        delta = point - centre
        if self.norm == "linf":
            delta = delta.clamp(-self.epsilon, self.epsilon)
        else:
            delta = delta * (self.epsilon / lengths(delta, "l2").clamp(min=TINY)).clamp(max=1)
        return (centre + delta).clamp(*self.bounds)

    def random(self, centre: Tensor) -> Tensor:
        """A random point of the ball: uniform before the bounds."""
        if self.norm == "linf":
            delta = torch.empty_like(centre).uniform_(-self.epsilon, self.epsilon)
        else:
            size = math.prod(centre.shape[1:])
            direction = self.steepest(torch.randn_like(centre))
            radius = torch.rand_like(lengths(centre, "l2")) ** (1 / size)
            delta = self.epsilon * radius * direction
        return (centre + delta).clamp(*self.bounds)

    def steepest(self, gradient: Tensor) -> Tensor:
        """The direction of length 1 along which the loss rises most; 0 where there is none."""
        if self.norm == "linf":
            return gradient.sign()
        # first by the largest value: squares of a tiny gradient would be 0
        scaled = gradient / lengths(gradient, "linf").clamp(min=torch.finfo(gradient.dtype).tiny)
        return scaled / lengths(scaled, "l2").clamp(min=TINY)

    def left_by(self, point: Tensor, centre: Tensor) -> float:
        """By how much any record lies outside of the ball; 0 or less if none does; NaN is ∞."""
        low, high = self.bounds
        beyond = float((lengths(point - centre, self.norm) - self.epsilon).max())
        outside = max(float(low - point.min()), float(point.max() - high))
        worst = max(beyond, outside)
        return worst if bool(point.isfinite().all()) else math.inf


def lengths(delta: Tensor, norm: Norm) -> Tensor:
    """The norm of every record, `[B, 1, ...]` for `[B, ...]`."""
    flat = delta.flatten(1)
    value = flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)
    return value.view(-1, *(1,) * (delta.dim() - 1))
