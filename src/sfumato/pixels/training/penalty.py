"""The form of the source: no budget, but a price for every pixel."""

from __future__ import annotations

import torch

from sfumato.errors import SettingError
from sfumato.pixels.scenes import Scenes
from sfumato.pixels.selectors import Penalised, Selector
from sfumato.pixels.tasks import reveal
from sfumato.pixels.training.buying import Bought
from sfumato.pixels.training.together import Buying


def priced(selector: Selector, weight: float) -> Buying:
    """What a step buys at the price `weight`, and what it pays: λ times the mean of M.

    All valid pixels count in the error, as in the source: if what was bought did not, buying all
    would cost nothing but its price.

    Raises:
        SettingError: a price below 0, or a selector that knows none.
    """
    if not isinstance(selector, Penalised):
        raise SettingError(
            f"{type(selector).__name__} buys exactly k pixels and knows no price: give k, or use "
            "Probabilistic, GumbelMask or L1Mask"
        )
    if not 0 <= weight < float("inf"):
        raise SettingError(f"weight is the price of a pixel, at least 0, not {weight}")

    def buying(batch: Scenes, _: bool) -> tuple[Bought, torch.Tensor]:
        mask = selector.relaxed(batch.images)
        paid = mask.detach() > 0.5
        values, shown = reveal(batch.task, mask, batch.targets, batch.valid)
        everything = torch.ones_like(paid)
        return Bought(mask, values, shown, paid, everything), weight * selector.penalty(mask).mean()

    return buying
