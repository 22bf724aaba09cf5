"""Masks held small by a penalty: error² + λ ‖M‖₁, the form of the source."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sfumato.errors import SettingError
from sfumato.pixels.selectors.base import Seen, Selector
from sfumato.pixels.selectors.draws import gumbel, top_k
from sfumato.pixels.selectors.network import QuerySettings, read_settings, scores_for


class Penalised(Selector, ABC):
    """A selector whose training knows no budget but a penalty: error² + λ ‖M‖₁ (spec 5, page 9).

    `relaxed` is the mask of the training, with a gradient; `buys` is what it then really buys,
    which λ does not say: count it with `Realised`. A call with k chooses the k highest logits (in
    the mode "sample" after Gumbel noise), so that a trained one can be held to a budget.

    Args:
        channels: of the pictures.
        size: height and width of the pictures.
        values: channels of the bought labels that the network sees; 0 if it sees none.
        start: the probability of a pixel at first, about.
        conditional: False for one mask for all pictures.
        network: how the query network is built.

    Raises:
        SettingError: a setting outside of what it may be.
    """

    learned = True

    def __init__(
        self,
        channels: int,
        size: tuple[int, int],
        *,
        values: int = 0,
        start: float = 0.5,
        conditional: bool = True,
        network: QuerySettings | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(channels, size, values=values)
        if not 0 < start < 1:
            raise SettingError(f"start is a probability between 0 and 1, not {start}")
        self.start = float(start)
        self.conditional = conditional
        self.network = read_settings(network)
        self.scores = scores_for(
            channels,
            self.size,
            values,
            self.network if conditional else None,
            flat=False,
            bias=math.log(start / (1 - start)),
        )

    @abstractmethod
    def relax(self, logits: Tensor) -> Tensor:
        """The mask of the training from logits `[B, 1, H, W]`, with a gradient."""

    @abstractmethod
    def buy(self, logits: Tensor) -> Tensor:
        """What is bought where no budget is given: `[B, 1, H, W]` of 0 and 1."""

    def relaxed(
        self,
        image: Tensor,
        bought: Tensor | None = None,
        values: Tensor | None = None,
        shown: Tensor | None = None,
    ) -> Tensor:
        """The mask of the training, `[B, 1, H, W]`; 0 where bought before. It has a gradient.

        Args:
            image: pictures `[B, C, H, W]`.
            bought: as for a call.
            values: as for a call.
            shown: as for a call.

        Raises:
            DataError: as for a call.
        """
        seen = self.look(image, bought, values, shown)
        return self.relax(self.scores(seen)).to(seen.bought) * (1 - seen.bought)

    @torch.no_grad()
    def buys(
        self,
        image: Tensor,
        bought: Tensor | None = None,
        values: Tensor | None = None,
        shown: Tensor | None = None,
    ) -> Tensor:
        """What is bought where no budget is given, `[B, 1, H, W]` of 0 and 1.

        Args:
            image: pictures `[B, C, H, W]`.
            bought: as for a call.
            values: as for a call.
            shown: as for a call.

        Raises:
            DataError: as for a call.
        """
        seen = self.look(image, bought, values, shown)
        return self.buy(self.scores(seen)).to(seen.bought) * (1 - seen.bought)

    def penalty(self, mask: Tensor, *, share: bool = True) -> Tensor:
        """‖M‖₁ of every picture, `[B]`.

        Args:
            mask: of `relaxed`.
            share: of the pixels, so that λ does not depend on the picture's size; False for the
                number of pixels, as in the source.
        """
        # Not abs(): it has no gradient at 0, where a hard mask mostly is.
        total = torch.where(mask < 0, -mask, mask).flatten(1)
        return total.mean(1) if share else total.sum(1)

    def choose(self, seen: Seen, k: int) -> Tensor:
        logits = self.scores(seen)
        noise = gumbel(logits, self.source) if self.mode == "sample" else None
        return top_k(logits, seen.bought, k, noise=noise)

    def settings(self) -> dict[str, Any]:
        return {
            "start": self.start,
            "conditional": self.conditional,
            "network": self.network.config(),
        }
