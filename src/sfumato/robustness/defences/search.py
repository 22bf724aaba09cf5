"""The inner loop of adversarial training: where near a record does the model do worst?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.nn.base import StochasticModule
from sfumato.nn.weights.base import BayesianModule
from sfumato.robustness.attacks.ball import Ball, Norm
from sfumato.robustness.attacks.base import check_bounds
from sfumato.robustness.attacks.modes import attackable
from sfumato.robustness.draws import ExpectedModel

FREE = (float("-inf"), float("inf"))


@final
@dataclass(frozen=True)
class Search:
    """Projected gradient ascent from a random start, with fresh noise in every step.

    The model runs in evaluation mode, so that batch norm learns nothing from the search, and is
    left as it was: modes, parameters and their gradients.

    Args:
        epsilon: the radius at the end of the warm-up, in units of the records.
        norm: `"linf"` or `"l2"`.
        bounds: the range of a record's elements; None leaves them free.
        steps: gradient steps.
        step_size: of one step at the full radius; it grows with it.
        draws: passes with noise of their own that a gradient is averaged over.
        warm_up: the part of the training over which ε grows from 0, in [0, 1].

    Raises:
        SettingError: a setting out of range.
    """

    epsilon: float
    norm: Norm
    bounds: tuple[float, float] | None
    steps: int
    step_size: float
    draws: int
    warm_up: float

    def __post_init__(self) -> None:
        Ball(self.epsilon, self.norm, self.bounds or FREE)
        if self.steps < 1 or self.draws < 1:
            raise SettingError(
                f"steps and draws must be at least 1, not {self.steps} and {self.draws}"
            )
        if not (self.step_size > 0 and 0 <= self.warm_up <= 1):
            raise SettingError(
                "step_size must be above 0 and warm_up in [0, 1], "
                f"not {self.step_size} and {self.warm_up}"
            )

    def __call__(
        self,
        model: nn.Module,
        x: Tensor,
        objective: Callable[[Tensor], Tensor],
        progress: float = 1.0,
    ) -> Tensor:
        """Records near `x`, without a graph.

        Args:
            model: gives logits.
            x: `[B, ...]`.
            objective: takes logits `[draws, B, C]`, gives what to increase, `[B]`.
            progress: the part of the training that is behind, in [0, 1].

        Raises:
            DataError: values of records outside of the bounds.
        """
        if self.bounds is not None:
            check_bounds(x, self.bounds)
        part = 1.0 if self.warm_up == 0 else min(1.0, progress / self.warm_up)
        x = x.detach()
        if part == 0:
            return x
        ball = Ball(part * self.epsilon, self.norm, self.bounds or FREE)
        expected = ExpectedModel(model, self.draws)
        near = ball.random(x)
        with attackable(model), torch.enable_grad():
            for _ in range(self.steps):
                near.requires_grad_()
                (slope,) = torch.autograd.grad(objective(expected.sample(near)).sum(), near)
                moved = near.detach() + part * self.step_size * ball.steepest(slope)
                near = ball.project(moved, x)
        return near.detach()


def error(labels: Tensor) -> Callable[[Tensor], Tensor]:
    """-log of the probability that the model gives the label on average over the draws.

    Args:
        labels: `[B]`, or probabilities `[B, C]`.
    """

    def objective(logits: Tensor) -> Tensor:
        log_mean = F.log_softmax(logits, dim=2).logsumexp(0)  # of the sum: a constant apart
        if labels.dim() == 1:
            return F.nll_loss(log_mean, labels, reduction="none")
        return -(labels * log_mean).sum(1)

    return objective


def refuse_recording(model: nn.Module) -> None:
    """Raise a `SettingError` where a recording would hold the passes of the search too."""
    for module in model.modules():
        heard = isinstance(module, StochasticModule) and module._observers
        if heard or (isinstance(module, BayesianModule) and module._kl_observers):
            raise SettingError(
                "adversarial training must be outermost, or what the attack's passes emit is "
                "counted as well: write Adversarial(..., task=MaxEntropyLoss(...)), not "
                "MaxEntropyLoss(..., task=Adversarial(...))"
            )
