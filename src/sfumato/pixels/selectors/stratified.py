"""The default: a query network, and one categorical draw in every cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

from torch import Tensor

from sfumato.pixels.selectors.base import Seen, Selector
from sfumato.pixels.selectors.checks import check_centre, check_temperature
from sfumato.pixels.selectors.draws import gumbel, stratified
from sfumato.pixels.selectors.network import QuerySettings, read_settings, scores_for


@final
class Stratified(Selector):
    """One pixel in each of k cells, chosen by a network that sees the picture.

    In cell c, pixel i is drawn with p(i) = softmax over c of (w_i - centre · d_i²), where w are the
    network's logits and d is the distance from the cell's centre, in halves of a cell. The
    gradient is that of a Gumbel-softmax (Jang et al. 2017), straight through. With cells, choices
    repel each other, and memory is O(H·W) rather than O(k·H·W).

    The network starts flat: an untrained selector in the mode "mean" is the grid, and its draws
    scatter about it.

    Args:
        channels: of the pictures.
        size: height and width of the pictures.
        values: channels of the bought labels that the network sees; 0 if it sees none.
        temperature: of the softmax whose gradient is passed on; may be set while training.
        centre: how much worse a cell's side is than its centre, in logits, at first.
        conditional: False for one mask for all pictures.
        network: how the query network is built.

    Raises:
        SettingError: a setting outside of what it may be.

    Example:
        >>> import torch, sfumato as sf
        >>> selector, image = Stratified(3, (16, 16)), torch.rand(2, 3, 16, 16)
        >>> selector(image, k=4).sum((1, 2, 3)).tolist()
        [4.0, 4.0]
        >>> with sf.sampling(selector, "mean"):
        ...     selector.query(image, None, k=4)[0].tolist()
        [[4, 4], [4, 12], [12, 4], [12, 12]]
    """

    learned = True

    def __init__(
        self,
        channels: int,
        size: tuple[int, int],
        *,
        values: int = 0,
        temperature: float = 1.0,
        centre: float = 4.0,
        conditional: bool = True,
        network: QuerySettings | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(channels, size, values=values)
        self.temperature = check_temperature(temperature)
        self.centre = check_centre(centre)
        self.conditional = conditional
        self.network = read_settings(network)
        self.scores = scores_for(channels, self.size, values, self.network if conditional else None)

    def choose(self, seen: Seen, k: int) -> Tensor:
        logits = self.scores(seen)
        noise = gumbel(logits, self.source) if self.mode == "sample" else None
        return stratified(
            logits, seen.bought, k, noise=noise, temperature=self.temperature, centre=self.centre
        )

    def settings(self) -> dict[str, Any]:
        return {
            "temperature": self.temperature,
            "centre": self.centre,
            "conditional": self.conditional,
            "network": self.network.config(),
        }
