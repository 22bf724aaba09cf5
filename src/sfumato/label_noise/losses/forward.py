"""Forward correction: the loss sees what the labels would be, mistakes included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.train import Batch, BatchLoss, cross_entropy

_LEAST = 1e-30
"""Added to a probability of 0 in float32, so that a label that the matrix rules out costs a finite
69 nats."""


@final
class Corrected(nn.Module):
    """A network behind which labels are mistaken: log P(given | x) out of logits of the true class.

    P(given = j | x) = Σ_k softmax(logits)_k T_kj, so its output is log-probabilities `[B, C]`.
    """

    def __init__(self, model: nn.Module, matrix: Tensor) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("matrix", matrix, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Log-probabilities `[B, C]` of the labels as given.

        Raises:
            SettingError: the network has another number of classes than the matrix.
        """
        logits, matrix = self.model(x), self.get_buffer("matrix")
        if logits.dim() != 2 or logits.shape[1] != len(matrix):
            raise SettingError(
                f"a matrix of {len(matrix)} classes needs logits [B, {len(matrix)}], not "
                f"{list(logits.shape)}"
            )
        logs = matrix.to(logits).clamp_min(_LEAST).log()
        return torch.logsumexp(logits.log_softmax(1).unsqueeze(2) + logs, 1)


@final
@dataclass(frozen=True, eq=False)
class Forward:
    """A loss behind the matrix of label mistakes T (Patrini et al. 2017, theorem 2; spec 4 §4.3).

    With the cross-entropy L = -log Σ_k softmax(logits)_k T_k,label: the network is trained as if
    its classes went through T before anyone saw them, so that its own softmax is about the truth.
    SE-SNN + Forward is `MaxEntropyLoss(weight, margin, "sample", task=Forward(matrix))`.

    Args:
        matrix: T, `[C, C]`, P(given = j | true = k) in row k and column j.
        task: the loss, which sees log-probabilities of the given labels in place of logits.

    Raises:
        SettingError: a matrix that is not square, or whose rows are no probabilities; at a call,
            a network with another number of classes.

    Example:
        >>> import torch
        >>> certain = torch.tensor([[50.0, 0.0]])
        >>> batch = Batch(certain, torch.tensor([1]), torch.tensor([0]), 0.0)
        >>> matrix = torch.tensor([[0.75, 0.25], [0.0, 1.0]])
        >>> round(float(Forward(matrix)(torch.nn.Identity(), batch)), 4)  # -log 0.25
        1.3863
    """

    matrix: Tensor
    task: BatchLoss = cross_entropy

    def __post_init__(self) -> None:
        matrix = self.matrix
        if matrix.dim() != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < 2:
            raise SettingError(f"a matrix of label mistakes is square, not {list(matrix.shape)}")
        sums = matrix.double().sum(1)
        if not (matrix >= 0).all() or not torch.allclose(sums, torch.ones_like(sums), atol=1e-4):
            raise SettingError(
                "each row of a matrix of label mistakes holds probabilities that add up to 1; "
                f"the rows add up to {[round(float(each), 4) for each in sums]}"
            )

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """The loss of one batch, a scalar."""
        return self.task(Corrected(model, self.matrix), batch)
