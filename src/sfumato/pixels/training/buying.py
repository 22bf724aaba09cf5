"""Buying pixels round by round: what was bought so far is all that a selector is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from sfumato.pixels.scenes import Scenes
from sfumato.pixels.selectors import Selector
from sfumato.pixels.tasks import reveal


@final
@dataclass(frozen=True, eq=False)
class Bought:
    """What was bought of a batch.

    Args:
        mask: `[B, 1, H, W]`; carries the gradient of a learned selector.
        values: `[B, V, H, W]`, the labels that came back.
        shown: `[B, 1, H, W]`, where one came back.
        paid: `[B, 1, H, W]`, bool: what was paid for.
        left: `[B, 1, H, W]`, bool: what is to be predicted.
    """

    mask: Tensor
    values: Tensor
    shown: Tensor
    paid: Tensor
    left: Tensor


def buy(
    selector: Selector,
    batch: Scenes,
    portions: Sequence[int],
    judges: Tensor | None = None,
) -> Bought:
    """Let a selector choose `portions` pixels of every picture, one portion after the other.

    Args:
        selector: chooses.
        batch: chosen from.
        portions: pixels per picture in each round.
        judges: `[B, 1, H, W]`, bool: pixels whose loss counts and whose place in the mask has no
            gradient; None for all pixels, gradient and loss alike.
    """
    mask = bought = batch.images.new_zeros(len(batch), 1, *batch.size)
    values, shown = reveal(batch.task, mask, batch.targets, batch.valid)
    for portion in portions:
        chosen = selector(batch.images, portion, bought, values.detach(), shown.detach())
        mask = mask + (chosen if judges is None else torch.where(judges, chosen.detach(), chosen))
        bought = mask.detach().round()
        values, shown = reveal(batch.task, mask, batch.targets, batch.valid)
    left = bought == 0
    return Bought(mask, values, shown, ~left, left if judges is None else left & judges)
