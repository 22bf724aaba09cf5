"""How many pixels a mask without a budget really buys."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from sfumato.errors import DataError


@final
@dataclass(frozen=True)
class Realised:
    """Pixels per picture over a set of pictures: a λ does not say how many these are.

    Attributes:
        minimum: the picture with the fewest.
        mean: over all pictures.
        maximum: the picture with the most.

    Example:
        >>> import torch
        >>> mask = torch.tensor([[[[1.0, 0.0]]], [[[1.0, 1.0]]]])
        >>> print(Realised.of([mask]))
        1.5 pixels per picture (1 to 2)
    """

    minimum: float
    mean: float
    maximum: float

    @classmethod
    def of(cls, masks: Iterable[Tensor]) -> Realised:
        """Count what is above one half in masks `[B, 1, H, W]`, one per batch.

        Raises:
            DataError: there is no picture.
        """
        counts = [(mask.detach() > 0.5).flatten(1).sum(1) for mask in masks]
        every = torch.cat(counts).double() if counts else torch.zeros(0)
        if not len(every):
            raise DataError("there is no picture whose pixels could be counted")
        return cls(float(every.min()), float(every.mean()), float(every.max()))

    def __str__(self) -> str:
        return f"{self.mean:g} pixels per picture ({self.minimum:g} to {self.maximum:g})"
