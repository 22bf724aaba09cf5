"""How far to trust the covariance of few records: chosen on auxiliary records held out for it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import final

import torch
from torch import Tensor

from sfumato.privacy.attacks.covariance import gain
from sfumato.privacy.attacks.moments import Moments
from sfumato.privacy.attacks.rows import Rows, Shrinkage
from sfumato.privacy.knowledge import Knowledge
from sfumato.train.seed import generator

DIAGONALS = (0.0, 0.03, 0.1, 0.3, 1.0)
BORROWED = (0.0, 0.1, 1.0)  # in units of the number of elements of a release, and 1 at least
CLASSES = 3  # on how many classes the choice is made
HUGE = 1024  # elements of a release above which it is made on one class, in a third of the time
HELD = 5000  # records held out, at most
LARGE = 2000  # auxiliary records above which one split is enough


def choose(knowledge: Knowledge, moments: Moments, pooled: bool | None) -> Shrinkage:
    """The shrinkage with the least expected squared error on held-out auxiliary records.

    The expectation over the noise is taken in closed form: |x - A μ|² + tr(A S Aᵀ). κ and γ are
    chosen one after the other, on the classes with the most records, of large releases on one. No
    attacked record is seen.
    """
    size, count = moments.locations.shape[1], len(knowledge.inputs)
    start = Shrinkage(0.0 if pooled is False else math.inf)
    if count < 10:
        return replace(start, diagonal=0.1)
    trial = _Trial(knowledge, moments)
    smallest = min(int((moments.labels == c).sum()) for c in trial.labels)
    if (smallest if pooled is False else len(moments.labels)) < 20 * size:
        start = trial.best([replace(start, diagonal=value) for value in DIAGONALS])
    if pooled is not None or knowledge.num_classes == 1:
        return start
    others = [replace(start, records=max(1.0, value * size)) for value in BORROWED]
    return trial.best([start, *others])


@final
class _Trial:
    """Splits of the auxiliary records, and the error of a shrinkage on what they hold out."""

    def __init__(self, knowledge: Knowledge, moments: Moments) -> None:
        sizes = torch.bincount(moments.labels, minlength=knowledge.num_classes)
        classes = CLASSES if moments.locations.shape[1] <= HUGE else 1
        self.labels = sizes.argsort(descending=True, stable=True)[:classes].tolist()
        self.labels = [c for c in self.labels if int(sizes[c]) > 0]
        self.moments = moments
        device = moments.labels.device
        self.folds = [
            (Rows(knowledge, moments, used.to(device)), held.to(device))
            for held, used in _splits(len(knowledge.inputs), len(moments.records))
        ]
        self._known: dict[Shrinkage, float] = {}

    def best(self, candidates: Sequence[Shrinkage]) -> Shrinkage:
        """The candidate with the least error; the first of equals."""
        new = [candidate for candidate in candidates if candidate not in self._known]
        self._known |= dict.fromkeys(new, 0.0)
        for rows, held in self.folds:
            shared: dict[Shrinkage, Tensor] = {}
            for c in self.labels:  # every covariance of a class is made once
                for candidate in new:
                    self._known[candidate] += self._error(rows, held, c, candidate, shared)
        return min(candidates, key=self._known.__getitem__)

    def _error(
        self,
        rows: Rows,
        held: Tensor,
        label: int,
        candidate: Shrinkage,
        shared: dict[Shrinkage, Tensor],
    ) -> float:
        """The summed squared error on the held-out records of a class, expected over the noise."""
        member = held[self.moments.labels[held] == label]
        if not len(member):
            return 0.0
        noise, gains = self.moments.noise[label], shared.get(candidate)
        if gains is None:
            gains = gain(*rows.covariances(label, candidate), noise)
            if candidate.pooled and rows.alike:
                shared[candidate] = gains
        x = self.moments.records[member] - rows.means[label]
        y = self.moments.locations[member] - rows.centres[label]
        missed = x - y.to(gains.dtype) @ gains.T
        return float(missed.square().sum()) + len(member) * _passed(gains, noise)


def _passed(gains: Tensor, noise: Tensor) -> float:
    """tr(A S Aᵀ), the noise that the decoder passes on."""
    noise = noise.to(gains.dtype)
    if noise.dim() == 1:
        return float((gains.square() @ noise).sum())
    return float(((gains @ noise) * gains).sum())


def _splits(records: int, rows: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows that are held out and rows that are used; all rows of one record go together."""
    order = torch.randperm(records, generator=generator("shrinkage"))
    held = max(1, min(records // 5, HELD))
    for fold in range(1 if records > LARGE else 3):
        out = torch.zeros(records, dtype=torch.bool)
        out[order[fold * held : (fold + 1) * held]] = True
        out = out.repeat(rows // records)
        yield out.nonzero().squeeze(1), (~out).nonzero().squeeze(1)
