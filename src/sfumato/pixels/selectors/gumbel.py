"""The Gumbel mask: a hard binary draw per pixel with the gradient of a soft one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

from torch import Tensor

from sfumato.noise.relaxed import straight_through
from sfumato.pixels.selectors.checks import check_temperature
from sfumato.pixels.selectors.draws import logistic
from sfumato.pixels.selectors.network import QuerySettings
from sfumato.pixels.selectors.penalised import Penalised


@final
class GumbelMask(Penalised):
    """M = 1 with probability σ(W), straight through a Gumbel-softmax (spec 5; Jang et al. 2017).

    Of two outcomes with logits w and 0 the softmax is a sigmoid: M = [w + g₁ - g₀ > 0], with the
    gradient of σ((w + g₁ - g₀) / τ). In the mode "mean" there is no noise: the source leaves it
    out at every fifth step (`NoiseSchedule`), and lets τ fall from 10 (`TemperatureSchedule`).

    Bought is such a draw; in the mode "mean" what is more likely bought than not, which is nothing
    at all where every probability is below one half.

    Args:
        channels: of the pictures.
        size: height and width of the pictures.
        values: channels of the bought labels that the network sees; 0 if it sees none.
        temperature: τ; may be set while training.
        start: the probability of a pixel at first, about.
        conditional: False for one mask for all pictures.
        network: how the query network is built.
        literal: feed the network's probabilities σ(W) and 1 - σ(W) as if they were logits, as the
            authors' published code does. Then every pixel is bought with a probability between
            σ(-1) = 0.269 and σ(1) = 0.731, and no budget of a few per cent can be reached.

    Raises:
        SettingError: a setting outside of what it may be.

    Example:
        >>> import torch
        >>> mask = GumbelMask(3, (8, 8)).relaxed(torch.rand(2, 3, 8, 8))
        >>> sorted(mask.unique().tolist()), mask.requires_grad
        ([0.0, 1.0], True)
    """

    def __init__(
        self,
        channels: int,
        size: tuple[int, int],
        *,
        values: int = 0,
        temperature: float = 1.0,
        start: float = 0.5,
        conditional: bool = True,
        network: QuerySettings | Mapping[str, Any] | None = None,
        literal: bool = False,
    ) -> None:
        super().__init__(
            channels, size, values=values, start=start, conditional=conditional, network=network
        )
        self.temperature = check_temperature(temperature)
        self.literal = literal

    def relax(self, logits: Tensor) -> Tensor:
        scores = 2 * logits.sigmoid() - 1 if self.literal else logits
        if self.mode == "sample":
            scores = scores + logistic(scores, self.source)
        soft = (scores / self.temperature).sigmoid()
        return straight_through((scores > 0).to(soft), soft)

    def buy(self, logits: Tensor) -> Tensor:
        return self.relax(logits)

    def settings(self) -> dict[str, Any]:
        return {
            **super().settings(),
            "temperature": self.temperature,
            "literal": self.literal,
        }
