"""Consistency: the draws of a stochastic model shall agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.robustness.draws import ExpectedModel
from sfumato.train.loop import Batch


@final
@dataclass(frozen=True)
class ConsistencyLoss:
    """Mean over m draws of CE(p_i) + λ KL(p̄ || p_i), + η H(p̄), p̄ their average (Jeong & Shin 2020).

    The certificate of randomised smoothing is about how often a draw gives the same class. The
    cross-entropy asks for the right class on average only; this asks for agreement as well.

    Args:
        draws: m; a step costs m passes.
        weight: λ. A larger one asks for more agreement, at the cost of the task.
        entropy: η, which keeps the average from being more certain than its draws.

    Raises:
        SettingError: fewer than two draws, or a negative weight.
    """

    draws: int = 2
    weight: float = 5.0
    entropy: float = 0.5

    def __post_init__(self) -> None:
        if self.draws < 2:
            raise SettingError(f"draws must be at least 2 to agree, not {self.draws}")
        if not (self.weight >= 0 and self.entropy >= 0):
            raise SettingError(
                f"weight and entropy must be at least 0, not {self.weight} and {self.entropy}"
            )

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """The loss of one batch, a scalar."""
        logs = ExpectedModel(model, self.draws).sample(batch.x).log_softmax(2)
        mean = logs.exp().mean(0)
        log_mean = mean.clamp(min=1e-12).log()
        task = F.nll_loss(logs.flatten(0, 1), batch.labels.repeat(self.draws))
        apart = (mean * (log_mean - logs)).sum(2).mean()
        uncertain = -(mean * log_mean).sum(1).mean()
        return task + self.weight * apart + self.entropy * uncertain
