"""What the steps of a training learn from, and how fast."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from sfumato.pixels.scenes import Scenes
from sfumato.pixels.tasks import Weigh
from sfumato.pixels.training.buying import Bought
from sfumato.pixels.training.recipe import PixelRecipe


class Course(ABC):
    """The order of a training: stages of steps, and the loss of every step.

    Args:
        predictor: trained.
        scenes: to learn from.
        recipe: how long and how fast.
    """

    moves: frozenset[str] = frozenset()
    """Settings of the selector that the training itself sets."""

    def __init__(self, predictor: nn.Module, scenes: Scenes, recipe: PixelRecipe) -> None:
        self.predictor = predictor
        self.scenes = scenes
        self.recipe = recipe
        self.weigh = scenes.task.balanced(scenes.targets, scenes.valid, recipe.balance)

    @property
    @abstractmethod
    def ends(self) -> dict[int, str]:
        """The stages in their order: the steps behind the last step of each, and its name."""

    @abstractmethod
    def loss(self, batch: Scenes, step: int) -> tuple[Tensor, Tensor]:
        """The loss of a step, and `[B]`, how many pixels were paid for per picture."""

    def pictures(self, step: int) -> Scenes:
        """What the batch of a step is taken from; the same all through a stage."""
        return self.scenes

    def rates(self, step: int) -> tuple[float, float]:
        """The learning rates of predictor and selector."""
        fall = self.recipe.fall(step)
        return self.recipe.lr * fall, self.recipe.selector_lr * fall

    def close(self, name: str) -> dict[str, Any]:
        """Settle what is to be settled when a stage ends: JSON values for the history."""
        return {}

    def reopen(self, history: list[dict[str, Any]]) -> None:  # noqa: B027 - often nothing
        """Settle it again, from the history of the stages that lie behind."""

    @property
    def steps(self) -> int:
        """Of all stages."""
        return max(self.ends)


def predictor_loss(predictor: nn.Module, batch: Scenes, bought: Bought, weigh: Weigh) -> Tensor:
    """The task's weighted loss, averaged over the pixels that are valid and left to predict."""
    prediction = predictor(batch.images, bought.values, bought.shown)
    counted = batch.valid & bought.left
    each = batch.task.loss(prediction, batch.targets) * weigh(batch.targets)
    # Where nothing is known the target may be anything: it must not even be multiplied by 0.
    return torch.where(counted, each, 0.0).sum() / counted.sum().clamp_min(1)


def paid_per_picture(bought: Bought) -> Tensor:
    """`[B]`: how many pixels were paid for."""
    return bought.paid.flatten(1).sum(1).cpu()
