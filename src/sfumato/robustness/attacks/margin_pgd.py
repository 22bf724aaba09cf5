"""Projected gradient ascent on the margin, with restarts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor

from sfumato.errors import SettingError
from sfumato.robustness.attacks.base import Attack
from sfumato.robustness.attacks.best import Best
from sfumato.robustness.attacks.gradient import slope
from sfumato.robustness.attacks.losses import Loss
from sfumato.robustness.draws import ExpectedModel


@final
@dataclass(frozen=True, kw_only=True)
class MarginPGD(Attack):
    """Gradient ascent on max_{j≠y} z_j - z_y over the draws, with restarts.

    The margin has a gradient where the cross-entropy is saturated, so that blown-up logits do not
    stop it. The step falls linearly from `step` · ε to 0. The first start is the record itself, the
    others are random points of the ball. See `Attack` for the other settings.

    Args:
        steps: of one restart.
        restarts: runs; the best point of all is kept.
        step: the length of the first step, in units of ε.
        stop: leave a record alone once it is misclassified for certain: its margin is 3 deviations
            over the draws above 0.

    Example:
        >>> import torch
        >>> from sfumato.robustness.attacks import MarginPGD
        >>> attack = MarginPGD(epsilon=0.1, steps=5, restarts=2)
        >>> attack(torch.nn.Linear(4, 3), torch.rand(5, 4), torch.arange(5) % 3).shape
        torch.Size([5, 4])
    """

    loss: Loss = "margin"
    steps: int = 40
    restarts: int = 2
    step: float = 0.25
    stop: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.step > 0:
            raise SettingError(f"step must be above 0, not {self.step}")

    @property
    def name(self) -> str:
        return "margin-pgd" if self.loss == "margin" else f"restarts-{self.loss.replace('_', '-')}"

    def perturb(self, model: ExpectedModel, x: Tensor, labels: Tensor) -> Tensor:
        best = Best(x, self.stop)
        for restart in range(self.restarts):
            rows = best.left()
            if not len(rows):
                break
            start = x[rows] if restart == 0 else self.ball.random(x[rows])
            self._climb(model, x, labels, rows, start, best)
        return best.point

    def _climb(
        self,
        model: ExpectedModel,
        x: Tensor,
        labels: Tensor,
        rows: Tensor,
        point: Tensor,
        best: Best,
    ) -> None:
        for step in range(self.steps + 1):
            found = slope(model, point, labels[rows], self.loss)
            best.offer(rows, point, found)
            on = best.goes_on(rows)
            rows, point, gradient = rows[on], point[on], found.gradient[on]
            if not len(rows):
                return
            rate = self.step * self.epsilon * (1 - step / self.steps)
            point = self.ball.project(point + rate * self.ball.steepest(gradient), x[rows])
