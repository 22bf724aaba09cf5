"""The best point found so far for every record."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from sfumato.robustness.attacks.gradient import Slope


@final
class Best:
    """For every record the point of the largest loss; a broken one beats one that is not."""

    def __init__(self, x: Tensor, stop: bool) -> None:
        self.point = x.clone()
        self.value = torch.full((len(x),), -torch.inf, device=x.device, dtype=x.dtype)
        self.broken = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        self.stop = stop

    def offer(self, rows: Tensor, point: Tensor, found: Slope) -> None:
        """Take over the points of the records `rows` that are better."""
        known = self.broken[rows]
        better = (found.broken & ~known) | (
            (found.broken == known) & (found.value > self.value[rows])
        )
        taken = rows[better]
        self.point[taken] = point[better]
        self.value[taken] = found.value[better].to(self.value.dtype)
        self.broken[taken] = found.broken[better]

    def goes_on(self, rows: Tensor) -> Tensor:
        """Which of `rows` are worth another step."""
        return ~self.broken[rows] if self.stop else torch.ones_like(rows, dtype=torch.bool)

    def left(self) -> Tensor:
        """The records that are worth another restart."""
        rows = torch.arange(len(self.broken), device=self.broken.device)
        return rows[self.goes_on(rows)]
