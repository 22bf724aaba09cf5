"""Bootstrapping with the probabilities that the network itself gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.label_noise.checks import check_share
from sfumato.label_noise.losses.logits import check_logits
from sfumato.train import Batch


@final
@dataclass(frozen=True)
class BootstrapSoft:
    """The label counts β, the network's own probabilities 1 - β (Reed et al. 2015, eq. 6).

    With q = softmax(logits),

        L = -Σ_k [β 1(k = label) + (1 - β) q_k] log q_k:

    the cross-entropy and, beside it, the entropy of the prediction, which it makes small. The
    gradient goes through both places of q, as in the paper.

    Args:
        beta: β in [0, 1]; the paper takes 0.95.

    Raises:
        SettingError: β outside of [0, 1]; at a call, logits that do not fit the labels.
    """

    beta: float = 0.95

    def __post_init__(self) -> None:
        check_share("beta", self.beta)

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """The loss of one batch, a scalar."""
        logits = model(batch.x)
        check_logits(logits, batch.labels)
        logs = logits.log_softmax(1)
        entropy = -(logs.exp() * logs).sum(1).mean()
        return self.beta * F.nll_loss(logs, batch.labels) + (1 - self.beta) * entropy
