"""Free top-k of a network's logits: exact in its budget, but nothing keeps pixels apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

from torch import Tensor

from sfumato.pixels.selectors.base import Seen, Selector
from sfumato.pixels.selectors.checks import check_temperature
from sfumato.pixels.selectors.draws import gumbel, top_k
from sfumato.pixels.selectors.network import QuerySettings, read_settings, scores_for


@final
class TopK(Selector):
    """The k pixels with the highest logits of a network that sees the picture.

    A draw is Gumbel top-k: k pixels without replacement from softmax(w) (Kool et al. 2019; as in
    Deep Probabilistic Subsampling, Huijben et al. 2020, but with one mask per picture). The
    gradient is that of a sigmoid around the threshold, straight through: O(H·W) memory where the
    usual relaxation needs O(k·H·W).

    Nothing repels the choices from each other, and they tend to gather: `Stratified` is the better
    default. With `QuerySettings(padding="zeros")` they gather at the picture's border.

    Args:
        channels: of the pictures.
        size: height and width of the pictures.
        values: channels of the bought labels that the network sees; 0 if it sees none.
        temperature: of the sigmoid whose gradient is passed on; may be set while training.
        conditional: False for one mask for all pictures.
        network: how the query network is built.

    Raises:
        SettingError: a setting outside of what it may be.

    Example:
        >>> import torch
        >>> TopK(3, (8, 8))(torch.rand(2, 3, 8, 8), k=5).sum((1, 2, 3)).tolist()
        [5.0, 5.0]
    """

    learned = True

    def __init__(
        self,
        channels: int,
        size: tuple[int, int],
        *,
        values: int = 0,
        temperature: float = 1.0,
        conditional: bool = True,
        network: QuerySettings | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(channels, size, values=values)
        self.temperature = check_temperature(temperature)
        self.conditional = conditional
        self.network = read_settings(network)
        built = self.network if conditional else None
        self.scores = scores_for(channels, self.size, values, built, flat=False)

    def choose(self, seen: Seen, k: int) -> Tensor:
        logits = self.scores(seen)
        noise = gumbel(logits, self.source) if self.mode == "sample" else None
        return top_k(logits, seen.bought, k, noise=noise, temperature=self.temperature)

    def settings(self) -> dict[str, Any]:
        return {
            "temperature": self.temperature,
            "conditional": self.conditional,
            "network": self.network.config(),
        }
