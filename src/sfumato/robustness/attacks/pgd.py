"""Projected gradient descent, by foolbox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor

from sfumato.robustness.attacks.base import Attack
from sfumato.robustness.attacks.bridge import ascend, foolbox_package
from sfumato.robustness.draws import ExpectedModel


@final
@dataclass(frozen=True, kw_only=True)
class PGD(Attack):
    """Steps of one length along the gradient, projected back onto the ball (Madry et al. 2018).

    By foolbox, on the expected loss over the draws. See `Attack` for the other settings.

    Args:
        steps: how many.
        step: the length of one, in units of ε.
        random_start: start at a random point of the ball.

    Example:
        >>> import torch
        >>> from sfumato.robustness.attacks import PGD
        >>> attack = PGD(epsilon=0.3, norm="l2", steps=5)
        >>> attack(torch.nn.Linear(4, 3), torch.rand(5, 4), torch.arange(5) % 3).shape
        torch.Size([5, 4])
    """

    steps: int = 40
    step: float = 0.075
    random_start: bool = True

    @property
    def name(self) -> str:
        return f"pgd-{self.loss.replace('_', '-')}"

    def perturb(self, model: ExpectedModel, x: Tensor, labels: Tensor) -> Tensor:
        attacks = foolbox_package().attacks
        kind = attacks.LinfPGD if self.norm == "linf" else attacks.L2PGD
        native = kind(rel_stepsize=self.step, steps=self.steps, random_start=self.random_start)
        return ascend(native, model, x, labels, self.loss, self.epsilon, self.bounds)
