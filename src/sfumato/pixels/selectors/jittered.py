"""A grid with one random pixel per cell."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from sfumato.pixels.selectors.base import Seen, Selector
from sfumato.pixels.selectors.draws import gumbel, stratified


@final
class JitteredGrid(Selector):
    """One pixel drawn uniformly in each of k cells of about the same size.

    Of what was bought before it takes note: pixels are added where the picture is still empty. It
    draws in every mode.

    Example:
        >>> import torch
        >>> mask = JitteredGrid(1, (4, 6))(torch.rand(1, 1, 4, 6), k=2)[0, 0]
        >>> mask[:, :3].sum().item(), mask[:, 3:].sum().item()
        (1.0, 1.0)
    """

    always_draws = True
    conditional = False

    def choose(self, seen: Seen, k: int) -> Tensor:
        return stratified(
            torch.zeros_like(seen.bought), seen.bought, k, noise=gumbel(seen.bought, self.source)
        )
