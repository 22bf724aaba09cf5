"""The best linear decoder, in closed form."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from sfumato.privacy.knowledge import Knowledge


@final
class LinearDecoder:
    """The Wiener decoder: x̂ = m_c + A_c (y - ν_c), A_c = Cov(x, μ | c) (Cov(μ | c) + E[S | c])⁻¹.

    m_c and ν_c are the class means of record and location, S the diagonal noise covariance. The
    covariance of the releases is exact given the auxiliary records, without a single draw, so
    the decoder cannot overfit the noise. No linear decoder of the releases does better on the
    auxiliary records.

    Args:
        knowledge: what the attacker knows.
        pooled: one A for all classes (less to estimate) or one for each.
    """

    def __init__(self, knowledge: Knowledge, *, pooled: bool) -> None:
        location, variance = _in_batches(knowledge)
        records = knowledge.inputs.flatten(1).double()
        self.means = knowledge.class_means(records)
        self.centres = knowledge.class_means(location)
        labels = knowledge.labels
        x, y = records - self.means[labels], location - self.centres[labels]
        if pooled:
            self.gains = _gain(x, y, variance).expand(knowledge.num_classes, -1, -1)
        else:
            members = [labels == c for c in range(knowledge.num_classes)]
            self.gains = torch.stack([_gain(x[m], y[m], variance[m]) for m in members])

    @torch.no_grad()
    def reconstruct(self, releases: Tensor, labels: Tensor) -> Tensor:
        """Records `[B, d]` from flat releases and their labels."""
        guess = self.means[labels].clone()
        for c in labels.unique().tolist():
            member = labels == c
            deviation = releases[member].double() - self.centres[c]
            guess[member] += deviation @ self.gains[c].T
        return guess.float()


def _gain(x: Tensor, y: Tensor, variance: Tensor) -> Tensor:
    if len(x) < 2:
        return x.new_zeros(x.shape[1], y.shape[1])
    covariance = y.T @ y / len(y) + variance.mean(0).diag()
    # The noise's variance keeps this well conditioned; the ridge covers a vanishing min_scale.
    ridge = 1e-8 * covariance.diagonal().mean().clamp(min=1e-12)
    covariance.diagonal().add_(ridge)
    return torch.linalg.solve(covariance, y.T @ x / len(x)).T


def _in_batches(knowledge: Knowledge, size: int = 1024) -> tuple[Tensor, Tensor]:
    parts = [
        knowledge.moments(x, labels)
        for x, labels in zip(
            knowledge.inputs.split(size), knowledge.labels.split(size), strict=True
        )
    ]
    means, variances = zip(*parts, strict=True)
    return torch.cat(means).double(), torch.cat(variances).double()
