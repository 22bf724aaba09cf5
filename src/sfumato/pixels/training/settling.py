"""Stages, after one of which a setting of the selector is settled on pictures held back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar, final

import torch
from torch import Tensor, nn

from sfumato.nn.mode import sampling
from sfumato.pixels.scenes import Scenes
from sfumato.pixels.selectors import Selector
from sfumato.pixels.selectors.uncertainty import evaluated
from sfumato.pixels.training.budget import split_rounds
from sfumato.pixels.training.buying import buy
from sfumato.pixels.training.course import Course
from sfumato.pixels.training.pairs import bounded_loss
from sfumato.pixels.training.recipe import PixelRecipe, cosine

HELD = 8
"""Every eighth picture is held back."""
SURE = 1.0
"""By how many standard errors over the held pictures a setting must be better than the grid."""
S = TypeVar("S", bound=Selector)


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


class Settling(Course, Generic[S]):
    """The stages of a training of which one ends with a choice.

    A selector that is the grid with one value of a setting gets another value only if that is
    better by a standard error on pictures that the stage did not learn from (every eighth; with
    fewer than 16 pictures: on all).

    Args:
        selector: trained.
        predictor: trained.
        scenes: to learn from.
        recipe: how long and how fast.
        budget: the least and the most pixels per picture.
        rounds: in how many rounds, or of which shares, they are bought.
        stages: by name, the first step of each and the step behind its last one.
    """

    setting: ClassVar[str]
    """What is settled."""
    after: ClassVar[str]
    """The stage that ends with it."""
    grid: ClassVar[float]
    """The value with which the selector is the grid."""
    others: ClassVar[tuple[float, ...]]
    """The values that are tried."""

    def __init__(
        self,
        selector: S,
        predictor: nn.Module,
        scenes: Scenes,
        recipe: PixelRecipe,
        budget: tuple[int, int],
        rounds: int | Sequence[float],
        stages: Mapping[str, tuple[int, int]],
    ) -> None:
        super().__init__(predictor, scenes, recipe)
        self.selector = selector
        self.budget = budget
        self.rounds = rounds
        self._taught, self._held = held_back(scenes)
        self._stages = {name: span for name, span in stages.items() if span[1] > span[0]}

    @property
    def ends(self) -> dict[int, str]:
        return {end: name for name, (_, end) in self._stages.items()}

    def pictures(self, step: int) -> Scenes:
        return self._taught if self.stage(step) == self.after else self.scenes

    def stage(self, step: int) -> str:
        """The name of the stage that a step belongs to."""
        return next(name for end, name in self.ends.items() if step < end)

    def fall(self, step: int) -> float:
        """From 1 to 0 along a cosine in each stage."""
        begin, end = self._stages[self.stage(step)]
        return cosine(step - begin, end - begin)

    def close(self, name: str) -> dict[str, Any]:
        if name != self.after:
            return {}
        grid = self.tried(self.grid)
        mean, error, best = max(
            (*gain_over(grid, self.tried(value), self._held), value) for value in self.others
        )
        settled = best if mean > SURE * error else self.grid
        self.assign(settled)
        return {self.setting: settled, "gain": [mean, error]}

    def reopen(self, history: list[dict[str, Any]]) -> None:
        for noted in history:
            if self.setting in noted:
                self.assign(noted[self.setting])

    def assign(self, value: float | None) -> None:
        """Give the selector this value of the setting."""
        vars(self.selector)[self.setting] = value

    @torch.no_grad()
    def tried(self, value: float) -> Trial:
        """What becomes of the held pictures with this value."""
        self.assign(value)
        least, most = self.budget
        portions = split_rounds(round((least * most) ** 0.5), self.rounds)
        paid, losses = [], []
        for index in torch.arange(len(self._held)).split(self.recipe.batch_size):
            batch = self._held.subset(index)
            with (
                sampling(self.selector, "mean"),
                evaluated(self.selector), evaluated(self.predictor),
            ):  # fmt: skip
                paid.append(buy(self.selector, batch, portions).paid)
                mask = paid[-1].to(batch.images)
                bound = self.recipe.gains.bound
                losses.append(bounded_loss(self.predictor, batch, mask, self.weigh, bound))
        return Trial(torch.cat(paid), torch.cat(losses))


def held_back(scenes: Scenes) -> tuple[Scenes, Scenes]:
    """Pictures to learn from and held ones; with fewer than 16, all of them for both."""
    many = len(scenes) if len(scenes) >= 2 * HELD else 0
    if not many:
        return scenes, scenes
    taught = scenes.subset([i for i in range(many) if i % HELD])
    return taught, scenes.subset(range(0, many, HELD))


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
