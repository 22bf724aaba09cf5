"""The best linear decoder, in closed form."""

from __future__ import annotations

from dataclasses import replace
from typing import final

import torch
from torch import Tensor

from sfumato.privacy.attacks.covariance import gain
from sfumato.privacy.attacks.moments import moments_of
from sfumato.privacy.attacks.rows import Rows, Shrinkage
from sfumato.privacy.attacks.shrinkage import choose
from sfumato.privacy.knowledge import Knowledge
from sfumato.train.seed import generator

ELEMENTS = 200_000_000  # of all gains together; with more, the classes share one


@final
class LinearDecoder:
    """The Wiener decoder: x̂ = m_c + A_c (y - ν_c), A_c = Cov(x, μ | c) (Cov(μ | c) + E[S | c])⁻¹.

    m_c and ν_c are the class means of record and location, S the noise covariance, diagonal or
    full, divided by K where `knowledge` averages K releases. Of a summary of K releases, location
    and noise are those of all its parts. The covariance of the releases is
    exact given the auxiliary records, without a single draw, so the decoder cannot overfit the
    noise. Where the law of a release is not known, many fresh draws stand for it.

    It could still overfit the auxiliary records, of which a class may have fewer than a record
    has elements. So by default the covariances are shrunk (`Shrinkage`), by as much as gives the
    least expected error on auxiliary records that are held out for that.

    Args:
        knowledge: what the attacker knows.
        pooled: covariances of all classes together (less to estimate), of each class alone, or,
            with None, between the two.
        shrink: whether to choose the shrinkage. Without it the plain formula with the moments of
            all auxiliary records: no linear decoder does better on those.
    """

    def __init__(
        self, knowledge: Knowledge, *, pooled: bool | None = None, shrink: bool = True
    ) -> None:
        knowledge = _affordable(knowledge)
        moments = moments_of(knowledge)
        classes, size = knowledge.num_classes, moments.locations.shape[1]
        if pooled is None and classes * size * moments.records.shape[1] > ELEMENTS:
            pooled = True
        self.shrinkage = choose(knowledge, moments, pooled) if shrink else Shrinkage.none(pooled)
        rows = Rows(knowledge, moments)
        self.means, self.centres = rows.means, rows.centres
        self.shared = self.shrinkage.pooled and rows.alike
        count = 1 if self.shared else classes
        gains = [gain(*rows.covariances(c, self.shrinkage), moments.noise[c]) for c in range(count)]
        self.gains = torch.stack(gains).expand(classes, -1, -1)
        self._quick = [each.float() for each in gains]
        self._shift = self.means.float(), self.centres.float()

    @torch.no_grad()
    def reconstruct(self, releases: Tensor, labels: Tensor) -> Tensor:
        """Records `[B, d]` from flat releases and their labels."""
        means, centres = self._shift
        deviation = releases.float() - centres[labels]
        if self.shared:
            return means[labels] + deviation @ self._quick[0].T
        guess = means[labels]
        for c in labels.unique().tolist():
            member = (labels == c).nonzero().squeeze(1)
            guess[member] += deviation[member] @ self._quick[c].T
        return guess


def _affordable(knowledge: Knowledge) -> Knowledge:
    """What the attacker knows, less the records that cannot be drawn for in a bearable time."""
    rows = None if knowledge.summary is None else knowledge.summary.rows
    count = len(knowledge.inputs)
    if rows is None or count <= rows:
        return knowledge
    pick = torch.randperm(count, generator=generator("affordable"))[:rows].sort().values
    return replace(knowledge, inputs=knowledge.inputs[pick], labels=knowledge.labels[pick])
