"""A grid with one random pixel per cell."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor

from sfumato.pixels.selectors.base import Seen, Selector
from sfumato.pixels.selectors.cells import cells
from sfumato.pixels.selectors.checks import check_share
from sfumato.pixels.selectors.draws import gumbel, stratified

_FIRM = 1e9
"""By how much half a cell's side is worse than its centre there, in logits."""


@final
class JitteredGrid(Selector):
    """One pixel drawn uniformly in each of k cells of about the same size.

    Of what was bought before it takes note: pixels are added where the picture is still empty. It
    draws in every mode.

    Args:
        channels: of the pictures.
        size: height and width of the pictures.
        values: as for every selector.
        share: of the cells in which it draws, each by itself; of the others it takes the centre,
            so that 0 is the grid.

    Raises:
        SettingError: a share outside of [0, 1].

    Example:
        >>> import torch
        >>> mask = JitteredGrid(1, (4, 6))(torch.rand(1, 1, 4, 6), k=2)[0, 0]
        >>> mask[:, :3].sum().item(), mask[:, 3:].sum().item()
        (1.0, 1.0)
    """

    always_draws = True
    conditional = False

    def __init__(
        self, channels: int, size: tuple[int, int], *, values: int = 0, share: float = 1.0
    ) -> None:
        super().__init__(channels, size, values=values)
        self.share = check_share("share", share)

    def choose(self, seen: Seen, k: int) -> Tensor:
        logits = torch.zeros_like(seen.bought)
        if self.share < 1:
            logits = self._firm(seen.bought, k)
        return stratified(logits, seen.bought, k, noise=gumbel(seen.bought, self.source))

    def _firm(self, bought: Tensor, k: int) -> Tensor:
        """Logits that noise cannot move from the centre, in the cells that are not drawn in."""
        counts = (bought > 0).flatten(1).sum(1)
        logits = torch.zeros_like(bought, dtype=torch.float32).flatten(1)
        for many in counts.unique().tolist():
            grid, rows = cells(self.size, k + many).to(bought.device), counts == many
            shape = (int(rows.sum()), len(grid.centres))
            uniform = (self.source.symmetric(shape, logits.dtype, logits.device) + 1) / 2
            firm = (uniform >= self.share).to(logits)
            logits[rows] = -_FIRM * grid.away.to(logits) * firm[:, grid.of]
        return logits.reshape(bought.shape)

    def settings(self) -> dict[str, Any]:
        return {"share": self.share}
