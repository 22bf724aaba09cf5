"""Pixels at random: the baseline that every selector must beat."""

from __future__ import annotations

from typing import final

from torch import Tensor

from sfumato.pixels.selectors.base import Seen, Selector
from sfumato.pixels.selectors.draws import gumbel, top_k


@final
class Random(Selector):
    """k pixels drawn uniformly, without replacement. It draws in every mode.

    Example:
        >>> import torch
        >>> mask = Random(3, (8, 8))(torch.rand(2, 3, 8, 8), k=5)
        >>> mask.shape, mask.sum((1, 2, 3)).tolist()
        (torch.Size([2, 1, 8, 8]), [5.0, 5.0])
    """

    always_draws = True
    conditional = False

    def choose(self, seen: Seen, k: int) -> Tensor:
        return top_k(gumbel(seen.bought, self.source), seen.bought, k)
