"""A bounded location: without it a location can defeat the noise by growing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor

from sfumato.errors import SettingError


@final
@dataclass(frozen=True)
class Bound:
    """Clamp a location to [low, high]; the certificate of a release rests on it.

    Args:
        low: the smallest location.
        high: the largest location, above `low`.
        straight_through: pass the gradient as if there were no clamp, so that a location that
            sits at its bound can still come back.

    Raises:
        SettingError: `low` is not below `high`.
    """

    low: float
    high: float
    straight_through: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise SettingError(f"a bound needs low < high, not ({self.low}, {self.high})")

    def __call__(self, location: Tensor) -> Tensor:
        clamped = location.clamp(self.low, self.high)
        if not self.straight_through:
            return clamped
        # The difference is exactly 0: `location + (clamped - location)` would be rounded, and a
        # large location would leave the bound.
        return clamped.detach() + (location - location.detach())


BoundLike = Bound | tuple[float, float] | None


def read_bound(bound: BoundLike) -> Bound | None:
    """A `Bound` from what a constructor accepts."""
    return Bound(*bound) if isinstance(bound, (tuple, list)) else bound
