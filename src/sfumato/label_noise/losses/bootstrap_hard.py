"""Bootstrapping with the class that the network itself would give."""

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
class BootstrapHard:
    """The label counts β, the network's own class 1 - β (Reed et al. 2015, eq. 7; spec 4 §4.3).

    With q = softmax(logits) and z the class of the largest of q,

        L = -β log q_label - (1 - β) log q_z.

    Args:
        beta: β in [0, 1]; the paper takes 0.8.

    Raises:
        SettingError: β outside of [0, 1]; at a call, logits that do not fit the labels.

    Example:
        >>> import torch
        >>> batch = Batch(torch.zeros(1, 2), torch.tensor([1]), torch.tensor([0]), 0.0)
        >>> round(float(BootstrapHard(0.8)(torch.nn.Identity(), batch)), 4)  # log 2
        0.6931
    """

    beta: float = 0.8

    def __post_init__(self) -> None:
        check_share("beta", self.beta)

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """The loss of one batch, a scalar."""
        logits = model(batch.x)
        check_logits(logits, batch.labels)
        given = F.cross_entropy(logits, batch.labels)
        own = F.cross_entropy(logits, logits.argmax(1))
        return self.beta * given + (1 - self.beta) * own
