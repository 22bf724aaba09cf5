"""TRADES: accuracy on clean records, and agreement with what is near them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.robustness.attacks.ball import Norm
from sfumato.robustness.attacks.modes import attackable
from sfumato.robustness.defences.search import Search, refuse_recording
from sfumato.robustness.draws import averaged
from sfumato.train.loop import Batch, BatchLoss, cross_entropy


@final
@dataclass(frozen=True)
class Trades:
    """task(x) + β · mean KL(p(x) || p(x')), x' the worst within ε (Zhang et al. 2019, eq. 5).

    The search increases the same divergence from p(x), which is held fixed there. β trades clean
    accuracy against robustness; the paper takes 1 and 6. It costs one more pass over the clean
    records than `Adversarial` of as many steps.

    Args:
        epsilon: the radius, in units of the records.
        beta: β.
        steps: of the search.
        step_size: in units of the records; by default 2.5 ε / steps.
        draws: passes that a gradient of the search is averaged over.
        warm_up: the part of the training over which ε grows to its full value, in [0, 1].
        norm: `"linf"` or `"l2"`.
        bounds: the range of a record's elements; None leaves them free.
        task: the loss on the clean records.

    Raises:
        SettingError: a setting out of range; at a call, when a recording would count the search.
    """

    epsilon: float
    beta: float = 6.0
    steps: int = 10
    step_size: float | None = None
    draws: int = 1
    warm_up: float = 0.25
    norm: Norm = "linf"
    bounds: tuple[float, float] | None = (0.0, 1.0)
    task: BatchLoss = cross_entropy

    def __post_init__(self) -> None:
        if not self.beta >= 0:
            raise SettingError(f"beta must be at least 0, not {self.beta}")
        self._search()

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """The loss of one batch, a scalar."""
        refuse_recording(model)
        with attackable(model), torch.no_grad():
            target = model(batch.x).log_softmax(1)
        near = self._search()(model, batch.x, _apart(target), batch.progress)
        clean, moved = model(torch.cat([batch.x, near])).log_softmax(1).chunk(2)
        return self.task(model, batch) + self.beta * _divergence(clean, moved).mean()

    def _search(self) -> Search:
        usual = 2.5 * self.epsilon / max(1, self.steps)
        size = usual if self.step_size is None else self.step_size
        return Search(
            self.epsilon, self.norm, self.bounds, self.steps, size, self.draws, self.warm_up
        )


def _apart(target: Tensor) -> Callable[[Tensor], Tensor]:
    """How far the average over the draws is from `target`, log-probabilities `[B, C]`."""

    def objective(logits: Tensor) -> Tensor:
        return _divergence(target, averaged(logits, "probabilities"))

    return objective


def _divergence(one: Tensor, other: Tensor) -> Tensor:
    """KL(one || other) in nats, `[B]`, of log-probabilities `[B, C]`."""
    return (one.exp() * (one - other)).sum(1)
