"""Auxiliary records and their releases, and how they vary together."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, final

import torch
from torch import Tensor

from sfumato.objectives.within import class_means
from sfumato.privacy.attacks.covariance import second, towards_diagonal
from sfumato.privacy.attacks.moments import Moments, rows_of
from sfumato.privacy.knowledge import Knowledge
from sfumato.train.seed import generator

Covariances: TypeAlias = tuple[Tensor, Tensor]

NEGLIGIBLE = 0.002  # share of the pooled covariance that is not worth making it
FEW = 2000  # records at least that are pushed through the mechanism under another label


@final
@dataclass(frozen=True)
class Shrinkage:
    """Σ = (1 - γ) Σ' + γ diag Σ' with Σ' = (1 - s) Σ_own + s Σ_pooled, s = κ / (κ + N_c).

    Args:
        records: κ, how many records of its own outweigh the pooled covariance in a class; with
            infinity the pooled one alone counts.
        diagonal: γ. Of Cov(x, μ) only where a release has as many elements as a record.
    """

    records: float
    diagonal: float = 0.0

    @classmethod
    def none(cls, pooled: bool | None) -> Shrinkage:
        """The plain moments, of all classes together or of each alone."""
        return cls(math.inf if pooled else 0.0)

    def __str__(self) -> str:
        shrunk = f"covariances shrunk by {self.diagonal:g} towards their diagonal"
        if self.pooled:
            return f"{shrunk}, pooled over classes"
        return f"{shrunk}, of each class, the pooled one counting as {self.records:g} records"

    @property
    def pooled(self) -> bool:
        """Whether the classes' own covariances do not count at all."""
        return math.isinf(self.records)

    def share(self, members: int) -> float:
        """s, the share of the pooled covariance in a class with so many records."""
        if self.pooled:
            return 1.0
        share = self.records / (self.records + members) if self.records else 0.0
        return share if share > NEGLIGIBLE else 0.0


@final
class Rows:
    """Some auxiliary records and their releases, as deviations from their class means.

    The pooled covariance of class c is that of what its releases would be if its records spread
    as those of all classes do: the deviations of all records, around the mean of c, go through
    the mechanism under label c. Where a label does no more than shift the releases, that is the
    plain pooled covariance; so it is for a summary that has to be drawn, of K releases a row.

    Args:
        knowledge: what the attacker knows.
        moments: of all auxiliary records.
        index: which rows of `moments` to take; all without it.
    """

    def __init__(self, knowledge: Knowledge, moments: Moments, index: Tensor | None = None) -> None:
        self.knowledge, self.moments = knowledge, moments
        everything = moments.records, moments.locations, moments.labels
        records, locations, self.labels = (
            everything if index is None else tuple(part[index] for part in everything)
        )
        classes = knowledge.num_classes
        self.means = class_means(records, self.labels, classes)
        self.centres = class_means(locations, self.labels, classes)
        self._place_absent(records)
        self.x = records - self.means[self.labels]
        self.y = locations - self.centres[self.labels]
        dear = knowledge.summary is not None and moments.drawn  # K releases for every row
        self.shifts = classes == 1 or dear or _only_shifts(knowledge, moments.drawn)
        noise = moments.noise
        self.alike = self.shifts and bool(torch.allclose(noise, noise[:1].expand_as(noise)))
        self._at_hand: dict[str, tuple[int, Covariances]] = {}

    def covariances(self, label: int, shrinkage: Shrinkage) -> Covariances:
        """Of the locations `[e, e]`, and of records and locations `[d, e]`, under one label."""
        share = shrinkage.share(int((self.labels == label).sum()))
        if share == 0:
            mixed = self._kept(self._own, "own", label)
        elif share == 1:
            mixed = self._kept(self._pooled, "pooled", label)
        else:
            own = self._kept(self._own, "own", label)
            both = self._kept(self._pooled, "pooled", label)
            mixed = _mixed(own[0], both[0], share), _mixed(own[1], both[1], share)
        return towards_diagonal(*mixed, shrinkage.diagonal)

    def _own(self, label: int) -> Covariances:
        member = self.labels == label
        return second(self.x[member], self.y[member])

    def _pooled(self, label: int) -> Covariances:
        if self.shifts:
            return second(self.x, self.y)
        few = max(FEW, 4 * self.y.shape[1])
        pick = torch.randperm(len(self.x), generator=generator("borrowed"))[:few]
        x = self.x[pick]
        y = self._under(label, x + self.means[label])
        return second(x - x.mean(0), y - y.mean(0))

    def _kept(self, make: Callable[[int], Covariances], name: str, label: int) -> Covariances:
        """What was made for the last label stays at hand; more would not fit in memory."""
        label = -1 if name == "pooled" and self.shifts else label
        kept = self._at_hand.get(name)
        if kept is None or kept[0] != label:
            kept = self._at_hand[name] = (label, make(label))
        return kept[1]

    def _under(self, label: int, records: Tensor) -> Tensor:
        shaped = records.reshape(-1, *self.knowledge.inputs.shape[1:])
        labels = self.labels.new_full((len(records),), label)
        return rows_of(self.knowledge, shaped, labels, self.moments.drawn)

    def _place_absent(self, records: Tensor) -> None:
        for c in range(self.knowledge.num_classes):
            if not bool((self.labels == c).any()):
                self.centres[c] = self._under(c, records[:FEW]).mean(0)


def _mixed(own: Tensor, pooled: Tensor, share: float) -> Tensor:
    return torch.lerp(own.to(pooled.dtype), pooled, share)


def _only_shifts(knowledge: Knowledge, drawn: bool) -> bool:
    """Whether the label moves the location of every record by the same, on a few records."""
    if drawn:
        return False
    x = knowledge.inputs[:8]
    found = []
    for c in range(knowledge.num_classes):
        y = rows_of(knowledge, x, knowledge.labels.new_full((len(x),), c), drawn)
        found.append(y - y.mean(0))
    unit = max(float(found[0].abs().max()), math.sqrt(torch.finfo(found[0].dtype).tiny))
    return all(float((each - found[0]).abs().max()) < 1e-4 * unit for each in found)
