"""Which of some settings of a selector is best, on pictures that were held back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from sfumato.nn.mode import sampling
from sfumato.pixels.scenes import Scenes
from sfumato.pixels.selectors import Selector
from sfumato.pixels.selectors.uncertainty import evaluated
from sfumato.pixels.tasks import Weigh
from sfumato.pixels.training.buying import buy
from sfumato.pixels.training.pairs import bounded_loss
from sfumato.pixels.training.recipe import PixelRecipe

HELD = 8
"""Every eighth picture is held back."""
SURE = 1.0
"""By how many standard errors over the held pictures a setting must be better than the grid."""


@final
@dataclass(frozen=True, eq=False)
class Trial:
    """What became of pictures with one setting.

    Args:
        paid: `[N, 1, H, W]`, bool: what was paid for.
        losses: `[N, 1, H, W]`: the loss of every pixel.
    """

    paid: Tensor
    losses: Tensor


def held_back(scenes: Scenes) -> tuple[Scenes, Scenes]:
    """Pictures to learn from and held ones; with fewer than 16, all of them for both."""
    many = len(scenes) if len(scenes) >= 2 * HELD else 0
    if not many:
        return scenes, scenes
    taught = scenes.subset([i for i in range(many) if i % HELD])
    return taught, scenes.subset(range(0, many, HELD))


@torch.no_grad()
def tried(
    selector: Selector,
    predictor: nn.Module,
    scenes: Scenes,
    portions: Sequence[int],
    weigh: Weigh,
    recipe: PixelRecipe,
) -> Trial:
    """What the selector buys of these pictures as it is now, and the loss of every pixel."""
    paid, losses = [], []
    for index in torch.arange(len(scenes)).split(recipe.batch_size):
        batch = scenes.subset(index)
        with sampling(selector, "mean"), evaluated(selector), evaluated(predictor):
            paid.append(buy(selector, batch, portions).paid)
            mask = paid[-1].to(batch.images)
            losses.append(bounded_loss(predictor, batch, mask, weigh, recipe.gains.bound))
    return Trial(torch.cat(paid), torch.cat(losses))


def gain_over(grid: Trial, other: Trial, scenes: Scenes) -> tuple[float, float]:
    """By how much less the loss of the pictures is than with the grid, and its standard error.

    Both are of the mean over the pictures of the mean over pixels that neither bought: whoever
    buys what is hard need not predict it.
    """
    left = scenes.valid & ~grid.paid & ~other.paid
    better = torch.where(left, grid.losses - other.losses, 0.0).flatten(1).sum(1).double()
    each = better / left.flatten(1).sum(1).clamp_min(1)
    error = float(each.std()) / len(each) ** 0.5 if len(each) > 1 else 0.0
    return float(each.mean()), error
