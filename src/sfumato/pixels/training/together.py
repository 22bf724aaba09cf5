"""Predictor and selector in every step: the gradient passes through the mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, final

from torch import Tensor, nn

from sfumato.nn.mode import sampling
from sfumato.pixels.scenes import Scenes
from sfumato.pixels.selectors import Selector
from sfumato.pixels.training.buying import Bought
from sfumato.pixels.training.course import Course, paid_per_picture, predictor_loss
from sfumato.pixels.training.recipe import PixelRecipe

Buying = Callable[[Scenes, bool], tuple[Bought, Tensor | None]]
"""Buys pixels of a batch (at random while warming up), and says what they cost, if they do."""


@final
class Together(Course):
    """One stage, in which the selector joins after the warm-up, by its gradient.

    Args:
        selector: trained, if it can learn.
        predictor: trained.
        scenes: to learn from.
        recipe: how long and how fast.
        buying: buys pixels of a batch.
    """

    moves = frozenset({"temperature"})

    def __init__(
        self,
        selector: Selector,
        predictor: nn.Module,
        scenes: Scenes,
        recipe: PixelRecipe,
        buying: Buying,
    ) -> None:
        super().__init__(predictor, scenes, recipe)
        self.selector = selector
        self.buying = buying

    @property
    def ends(self) -> dict[int, str]:
        return {self.recipe.steps: "together"}

    def loss(self, batch: Scenes, step: int) -> tuple[Tensor, Tensor]:
        if self.selector.learned and hasattr(self.selector, "temperature"):
            now = self.recipe.temperature_at(step, len(self.scenes))
            vars(self.selector)["temperature"] = now
        with sampling(self.selector, self._mode(step)):
            bought, cost = self.buying(batch, self.recipe.warm(step))
            loss = predictor_loss(self.predictor, batch, bought, self.weigh)
        return (loss if cost is None else loss + cost), paid_per_picture(bought)

    def _mode(self, step: int) -> Literal["sample", "mean"]:
        return self.recipe.noise.mode(step + 1) if self.selector.learned else "sample"
