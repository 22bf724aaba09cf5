"""A regular grid: the baseline that is hard to beat."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from sfumato.pixels.selectors.base import Seen, Selector
from sfumato.pixels.selectors.draws import stratified


@final
class Grid(Selector):
    """The centres of k cells of about the same size, the same for every picture.

    Of what was bought before it takes note: pixels are added where the picture is still empty.

    Example:
        >>> import torch
        >>> Grid(1, (4, 6))(torch.rand(1, 1, 4, 6), k=6)[0, 0].int()
        tensor([[0, 0, 0, 0, 0, 0],
                [0, 1, 0, 1, 0, 1],
                [0, 0, 0, 0, 0, 0],
                [0, 1, 0, 1, 0, 1]], dtype=torch.int32)
    """

    conditional = False

    def choose(self, seen: Seen, k: int) -> Tensor:
        return stratified(torch.zeros_like(seen.bought), seen.bought, k, centre=1.0)
