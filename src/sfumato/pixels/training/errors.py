"""The predictor learns from what the selector chooses, the selector where the predictor errs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import final

import torch
from torch import Tensor, nn

from sfumato.nn.mode import sampling
from sfumato.pixels.scenes import Scenes
from sfumato.pixels.selectors import ExpectedError
from sfumato.pixels.selectors.uncertainty import evaluated
from sfumato.pixels.training.budget import draw_budget, split_rounds
from sfumato.pixels.training.buying import buy
from sfumato.pixels.training.course import paid_per_picture, predictor_loss
from sfumato.pixels.training.pairs import bounded_loss
from sfumato.pixels.training.recipe import PixelRecipe
from sfumato.pixels.training.settling import Settling

MOST = 20.0
"""A pixel's error counts at most so many times the mean."""
SHARES = (0.5, 0.75)
"""Of the budget, that may be a grid, where the selector does not say; and the whole of it."""


@final
class Errors(Settling[ExpectedError]):
    """Both learn in every step, each from what the other is by then.

    Where the selector has no share yet there are two stages, "shares" and "errors". In the first
    one every step has a share of its own. Then it is settled by what is best on pictures that were
    held back from it (with fewer than 16 pictures: on all): the whole budget a grid, unless a
    smaller share is better by a standard error on pixels that neither bought.

    Args:
        selector: trained.
        predictor: trained.
        scenes: to learn from.
        recipe: how long and how fast.
        budget: the least and the most pixels per picture.
        rounds: in how many rounds, or of which shares, they are bought.
    """

    setting = "share"
    after = "shares"
    grid = 1.0
    others = SHARES

    def __init__(
        self,
        selector: ExpectedError,
        predictor: nn.Module,
        scenes: Scenes,
        recipe: PixelRecipe,
        budget: tuple[int, int],
        rounds: int | Sequence[float],
    ) -> None:
        settles = selector.share is None
        self.moves = frozenset({"share"}) if settles else frozenset()
        first = recipe.steps // 2 if settles else 0
        stages = {"shares": (0, first), "errors": (first, recipe.steps)}
        super().__init__(selector, predictor, scenes, recipe, budget, rounds, stages)

    def rates(self, step: int) -> tuple[float, float]:
        return self.recipe.lr * self.fall(step), self.recipe.selector_lr * self.fall(step)

    def loss(self, batch: Scenes, step: int) -> tuple[Tensor, Tensor]:
        if self.stage(step) == "errors":
            return self._both(batch)
        with self._for_now((*SHARES, 1.0)[step % (1 + len(SHARES))]):
            return self._both(batch)

    def _both(self, batch: Scenes) -> tuple[Tensor, Tensor]:
        portions = split_rounds(draw_budget(*self.budget), self.rounds)
        with torch.no_grad(), sampling(self.selector, "mean"):
            bought = buy(self.selector, batch, portions)
        loss = predictor_loss(self.predictor, batch, bought, self.weigh)
        some = portions[: 1 + int(torch.randint(len(portions), ()))]
        return loss + self._foresight(batch, some), paid_per_picture(bought)

    @contextmanager
    def _for_now(self, share: float) -> Iterator[None]:
        self.assign(share)
        try:
            yield
        finally:
            self.assign(None)

    def _foresight(self, batch: Scenes, portions: Sequence[int]) -> Tensor:
        """The squared error of foreseen losses, in units of the batch's mean loss.

        What is foreseen is the predictor's loss when it is shown the portions before the last, and
        of the last one the grid; it does not learn from this.
        """
        selector = self.selector
        with torch.no_grad(), sampling(selector, "mean"), evaluated(self.predictor):
            bought = buy(selector, batch, portions[:-1])
            paid = bought.paid.to(batch.images)
            mask = paid + selector.grid(paid, portions[-1])
            found = bounded_loss(self.predictor, batch, mask, self.weigh, self.recipe.gains.bound)
        left = batch.valid & (mask == 0)
        many = left.sum().clamp_min(1)
        mean = torch.where(left, found, 0.0).sum() / many
        wanted = (found / mean.clamp_min(1e-12)).clamp_max(MOST)
        foreseen = selector.scores(selector.look(batch.images, paid, bought.values, bought.shown))
        return torch.where(left, (foreseen - wanted).square(), 0.0).sum() / many
