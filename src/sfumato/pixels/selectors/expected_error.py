"""A part of the budget as a grid, the rest where a network expects the predictor to be wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor

from sfumato.errors import SettingError
from sfumato.pixels.selectors.base import Seen, Selector
from sfumato.pixels.selectors.checks import check_share
from sfumato.pixels.selectors.draws import stratified
from sfumato.pixels.selectors.network import QuerySettings, read_settings, scores_for
from sfumato.pixels.selectors.spacing import spaced


@final
class ExpectedError(Selector):
    """Half a grid, and then the pixels where most error is expected, at a distance from each other.

    A query network foresees from the picture the loss that the predictor will have at a pixel when
    it has been shown the grid. The grid comes first: it tells what is in the picture, and what is
    bought after it tells where things end. Importance maps of expected error are those of Tcenov
    and Gilboa (2022), who draw samples from them; here the best pixels are taken, at a distance:
    without one, and without a grid, a single outline would take the whole budget.

    It needs enough pixels for both: where half of a grid is so coarse that it misses things, three
    quarters of it or a whole one are better. With `share=None` the training settles that, which
    costs it half of its steps; before it the selector is the grid.

    Args:
        channels: of the pictures.
        size: height and width of the pictures.
        values: channels of the bought labels that the network sees; 0 if it sees none.
        share: of the budget, that is a grid; None if that is for the training to find out.
        spacing: the rows or columns that the others are apart at least, from each other and from
            the grid; 1 for no distance.
        network: how the query network is built.

    Raises:
        SettingError: a setting outside of what it may be.

    Example:
        >>> import torch
        >>> selector, image = ExpectedError(3, (16, 16), share=0.5), torch.rand(2, 3, 16, 16)
        >>> selector(image, k=8).sum((1, 2, 3)).tolist()
        [8.0, 8.0]
    """

    learned = True

    def __init__(
        self,
        channels: int,
        size: tuple[int, int],
        *,
        values: int = 0,
        share: float | None = 0.5,
        spacing: int = 3,
        network: QuerySettings | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(channels, size, values=values)
        if spacing < 1:
            raise SettingError(f"a spacing of at least 1 is needed, not {spacing}")
        self.share = None if share is None else check_share("share", share)
        self.spacing = spacing
        self.network = read_settings(network)
        self.scores = scores_for(channels, self.size, values, self.network)

    @property
    def differentiable(self) -> bool:
        return False

    @torch.no_grad()
    def choose(self, seen: Seen, k: int) -> Tensor:
        mask = self.grid(seen.bought, k)
        rest = k - self._gridded(k)
        if not rest:
            return mask
        return mask + spaced(self.scores(seen), seen.bought + mask, rest, self.spacing)

    def grid(self, bought: Tensor, k: int) -> Tensor:
        """The part of k pixels `[B, 1, H, W]` that does not depend on the picture."""
        many = self._gridded(k)
        empty = torch.zeros_like(bought)
        return stratified(empty, bought, many, centre=1.0) if many else empty

    def _gridded(self, k: int) -> int:
        return k if self.share is None else round(self.share * k)

    def settings(self) -> dict[str, Any]:
        return {"share": self.share, "spacing": self.spacing, "network": self.network.config()}
