"""The predictor first, then the selector by pairs of draws, then the predictor again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from sfumato.nn.mode import sampling
from sfumato.pixels.scenes import Scenes
from sfumato.pixels.selectors import JitteredGrid, Stratified
from sfumato.pixels.training.budget import draw_budget, split_rounds
from sfumato.pixels.training.buying import buy
from sfumato.pixels.training.course import paid_per_picture, predictor_loss
from sfumato.pixels.training.pairs import pair_loss
from sfumato.pixels.training.recipe import PixelRecipe
from sfumato.pixels.training.settling import Settling

GRID = 1e9
"""With this `centre` a selector is the grid, whatever its logits are."""
CENTRES = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0)
"""What a cell's side may cost against its centre, in standard deviations of gains."""


@final
class Gains(Settling[Stratified]):
    """Three stages: "predictor", "gains", "both".

    First the predictor learns with a grid, in half of the steps, and in the others with grids of
    which a random share of the pixels has moved within its cell: a predictor that knows the grid by
    heart breaks where a pixel moves, and one that knows only scattered pixels makes the grid look
    bad. Then the selector learns from pairs (`pair_loss`), and its `centre` is set to what is best
    on pictures that were held back from it (with fewer than 16 pictures: on all). That is the grid
    unless something is better by a standard error; compared are pixels that neither bought, since
    whoever buys what is hard need not predict it. Last the predictor learns from what the selector
    chooses, from the full rate down again: if that is the grid, it ends like one of the grid's own.

    Args:
        selector: trained.
        predictor: trained.
        scenes: to learn from.
        recipe: how long and how fast.
        budget: the least and the most pixels per picture.
        rounds: in how many rounds, or of which shares, they are bought.
    """

    moves = frozenset({"centre"})
    setting = "centre"
    after = "gains"
    grid = GRID
    others = CENTRES

    def __init__(
        self,
        selector: Stratified,
        predictor: nn.Module,
        scenes: Scenes,
        recipe: PixelRecipe,
        budget: tuple[int, int],
        rounds: int | Sequence[float],
    ) -> None:
        first = round(recipe.gains.share * recipe.steps)
        pairs = first + (recipe.gains.steps or recipe.steps)
        stages = {
            "predictor": (0, first),
            "gains": (first, pairs),
            "both": (pairs, pairs + recipe.steps - first),
        }
        super().__init__(selector, predictor, scenes, recipe, budget, rounds, stages)

    def rates(self, step: int) -> tuple[float, float]:
        if self.stage(step) == "gains":
            return 0.0, self.recipe.selector_lr * self.fall(step)
        return self.recipe.lr * self.fall(step), 0.0

    def loss(self, batch: Scenes, step: int) -> tuple[Tensor, Tensor]:
        stage = self.stage(step)
        portions = split_rounds(draw_budget(*self.budget), self.rounds)
        if stage == "gains":
            portions = portions[: 1 + int(torch.randint(len(portions), ()))]
            loss = pair_loss(
                self.selector, self.predictor, batch, portions, self.weigh, self.recipe.gains
            )
            return loss, torch.full((len(batch),), sum(portions))
        if stage == "predictor":
            share = max(0.0, 2 * float(torch.rand(())) - 1)
            near = JitteredGrid(batch.channels, batch.size, share=share)
            bought = buy(near, batch, [draw_budget(*self.budget)])
        else:
            with torch.no_grad(), sampling(self.selector, "mean"):
                bought = buy(self.selector, batch, portions)
        loss = predictor_loss(self.predictor, batch, bought, self.weigh)
        return loss, paid_per_picture(bought)
