"""The predictor learns from what the selector chooses, the selector where the predictor errs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, final

import torch
from torch import Tensor, nn

from sfumato.nn.mode import sampling
from sfumato.pixels.scenes import Scenes
from sfumato.pixels.selectors import ExpectedError
from sfumato.pixels.selectors.uncertainty import evaluated
from sfumato.pixels.training.budget import draw_budget, split_rounds
from sfumato.pixels.training.buying import buy
from sfumato.pixels.training.course import Course, paid_per_picture, predictor_loss
from sfumato.pixels.training.pairs import bounded_loss
from sfumato.pixels.training.recipe import PixelRecipe, cosine
from sfumato.pixels.training.trials import SURE, Trial, gain_over, held_back, tried

MOST = 20.0
"""A pixel's error counts at most so many times the mean."""
SHARES = (0.5, 0.75)
"""Of the budget, that may be a grid, where the selector does not say; and the whole of it."""


@final
class Errors(Course):
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

    def __init__(
        self,
        selector: ExpectedError,
        predictor: nn.Module,
        scenes: Scenes,
        recipe: PixelRecipe,
        budget: tuple[int, int],
        rounds: int | Sequence[float],
    ) -> None:
        super().__init__(predictor, scenes, recipe)
        self.selector = selector
        self.budget = budget
        self.rounds = rounds
        self._taught, self._held = held_back(scenes)
        settles = selector.share is None
        self.moves = frozenset({"share"}) if settles else frozenset()
        self._first = recipe.steps // 2 if settles else 0

    @property
    def ends(self) -> dict[int, str]:
        both = {self._first: "shares", self.recipe.steps: "errors"}
        return {end: name for end, name in both.items() if end}

    def pictures(self, step: int) -> Scenes:
        return self._taught if step < self._first else self.scenes

    def rates(self, step: int) -> tuple[float, float]:
        first = step < self._first
        begin, end = (0, self._first) if first else (self._first, self.recipe.steps)
        fall = cosine(step - begin, end - begin)
        return self.recipe.lr * fall, self.recipe.selector_lr * fall

    def loss(self, batch: Scenes, step: int) -> tuple[Tensor, Tensor]:
        if step >= self._first:
            return self._both(batch)
        share = (*SHARES, 1.0)[step % (1 + len(SHARES))]
        with self._with(share):
            return self._both(batch)

    def close(self, name: str) -> dict[str, Any]:
        if name != "shares":
            return {}
        grid = self._tried(1.0)
        mean, error, best = max(
            (*gain_over(grid, self._tried(share), self._held), share) for share in SHARES
        )
        self._set(best if mean > SURE * error else 1.0)
        return {"share": self.selector.share, "gain": [mean, error]}

    def reopen(self, history: list[dict[str, Any]]) -> None:
        for noted in history:
            if "share" in noted:
                self._set(noted["share"])

    def _both(self, batch: Scenes) -> tuple[Tensor, Tensor]:
        portions = split_rounds(draw_budget(*self.budget), self.rounds)
        with torch.no_grad(), sampling(self.selector, "mean"):
            bought = buy(self.selector, batch, portions)
        loss = predictor_loss(self.predictor, batch, bought, self.weigh)
        some = portions[: 1 + int(torch.randint(len(portions), ()))]
        return loss + self._foresight(batch, some), paid_per_picture(bought)

    def _tried(self, share: float) -> Trial:
        """What becomes of the held pictures with this share."""
        least, most = self.budget
        portions = split_rounds(round((least * most) ** 0.5), self.rounds)
        with self._with(share):
            return tried(
                self.selector, self.predictor, self._held, portions, self.weigh, self.recipe
            )

    @contextmanager
    def _with(self, share: float) -> Iterator[None]:
        before = self.selector.share
        self._set(share)
        try:
            yield
        finally:
            self._set(before)

    def _set(self, share: float | None) -> None:
        vars(self.selector)["share"] = share

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
