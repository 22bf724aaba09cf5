"""Mean and covariance of releases, without a draw where their law is known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import final

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Laplace, MixtureSameFamily, Normal

from sfumato.objectives.moments import bare
from sfumato.privacy.knowledge import Knowledge, Mechanism, ToldSummary

BATCH = 1024
LOOKED_AT = 32  # records of a class over which a full covariance matrix is averaged
DRAWS = 64  # of each record, at most, where no law is known


@final
@dataclass(frozen=True)
class Moments:
    """What a linear decoder needs to know of the releases of auxiliary records.

    Args:
        records: `[N, d]`, flat.
        labels: `[N]`.
        locations: the mean of each record's release `[N, e]`, flat; where no law is known, fresh
            draws.
        noise: E[S | class] / K of what `locations` leaves out: variances `[C, e]` or covariances
            `[C, e, e]`.
        drawn: whether `locations` are draws.
    """

    records: Tensor
    labels: Tensor
    locations: Tensor
    noise: Tensor
    drawn: bool


@torch.no_grad()
def moments_of(knowledge: Knowledge) -> Moments:
    """The moments of the releases of the auxiliary records.

    A full covariance is averaged over 32 records of each class at most. A mechanism without a
    `distribution`, or whose law has no moments or ties the elements of a release in a way that it
    does not tell, is looked at through fresh draws. Of a summary of K releases the moments are its
    own, or those of draws.
    """
    records, labels, summary = knowledge.inputs, knowledge.labels, knowledge.summary
    told = isinstance(summary, ToldSummary)
    noise = _noise(knowledge) if summary is None or told else None
    if noise is not None:
        locations = locations_of(knowledge, records, labels)
        noise = summary.noise(noise) if told else noise / knowledge.releases
        return Moments(records.flatten(1), labels, locations, noise, False)
    size = sum(torch.Size(shape).numel() for shape in knowledge.shapes())
    times = min(max(1, -(-20 * size // len(records))), DRAWS)
    if summary is not None and summary.rows is not None:
        times = min(times, max(1, summary.rows // len(records)))
    labels = labels.repeat(times)
    locations = torch.cat([_drawn(knowledge, records, knowledge.labels) for _ in range(times)])
    nothing = locations.new_zeros(knowledge.num_classes, size)
    return Moments(records.flatten(1).repeat(times, 1), labels, locations, nothing, True)


@torch.no_grad()
def locations_of(knowledge: Knowledge, records: Tensor, labels: Tensor) -> Tensor:
    """The mean of each record's release, flat and side by side."""
    parts = []
    for x, c in zip(records.split(BATCH), labels.split(BATCH), strict=True):
        if isinstance(knowledge.summary, ToldSummary):
            parts.append(knowledge.summary.locations(x, c))
            continue
        laws = [bare(m.distribution(x, c)) for m in knowledge.mechanisms]
        parts.append(torch.cat([law.mean.reshape(len(x), -1) for law in laws], 1))
    return torch.cat(parts)


@torch.no_grad()
def rows_of(knowledge: Knowledge, records: Tensor, labels: Tensor, drawn: bool) -> Tensor:
    """What stands for the releases of other records than the auxiliary ones, as in `Moments`."""
    if drawn:
        return _drawn(knowledge, records, labels)
    return locations_of(knowledge, records, labels)


def _drawn(knowledge: Knowledge, records: Tensor, labels: Tensor) -> Tensor:
    batches = zip(records.split(BATCH), labels.split(BATCH), strict=True)
    return torch.cat([knowledge.draw(x, c) for x, c in batches])


def has_covariance(law: Distribution) -> bool:
    """Whether the law knows a full covariance matrix."""
    return hasattr(type(law), "covariance_matrix")


def known_law(mechanism: Mechanism, x: Tensor, labels: Tensor) -> Distribution | None:
    """The law of the release if it has a mean and a variance and says how elements are tied."""
    try:
        law = bare(mechanism.distribution(x, labels))
        told = bool(torch.isfinite(law.mean).all() and torch.isfinite(law.variance).all())
    except (AttributeError, NotImplementedError):
        return None
    return law if told and (has_covariance(law) or not law.event_shape) else None


def mixture_of(mechanism: Mechanism, x: Tensor, labels: Tensor) -> MixtureSameFamily | None:
    """The law of the release where it is a mixture of laws of independent elements."""
    try:
        law = mechanism.distribution(x, labels)
    except (AttributeError, NotImplementedError):
        return None
    if not isinstance(law, MixtureSameFamily):
        return None
    parts = law.component_distribution
    alone = isinstance(parts, Independent) and isinstance(parts.base_dist, (Normal, Laplace))
    return law if alone and bool(parts.variance.isfinite().all()) else None


def _noise(knowledge: Knowledge) -> Tensor | None:
    """E[S | class] of one release, `[C, e]` or `[C, e, e]`; None where a law is not known."""
    parts = []
    for mechanism in knowledge.mechanisms:
        law = known_law(mechanism, knowledge.inputs[:1], knowledge.labels[:1])
        if law is None:
            return None
        find = _covariances if has_covariance(law) else _variances
        parts.append(find(knowledge, mechanism))
    if all(part.dim() == 2 for part in parts):
        return torch.cat(parts, 1)
    full = [part.diag_embed() if part.dim() == 2 else part for part in parts]
    return torch.stack([torch.block_diag(*blocks) for blocks in zip(*full, strict=True)])


def _variances(knowledge: Knowledge, mechanism: Mechanism) -> Tensor:
    """The mean variance for each class `[C, e]`; of a class without a record, for any record."""
    sums, counts = [], []
    for c in range(knowledge.num_classes):
        x = _examples(knowledge, c)
        total = [
            bare(mechanism.distribution(part, _filled(part, c))).variance.flatten(1).sum(0)
            for part in x.split(BATCH)
        ]
        sums.append(reduce(torch.add, total))
        counts.append(len(x))
    return torch.stack([total / count for total, count in zip(sums, counts, strict=True)])


def _covariances(knowledge: Knowledge, mechanism: Mechanism) -> Tensor:
    """The mean covariance for each class `[C, e, e]`, over few records of each."""
    found = []
    for c in range(knowledge.num_classes):
        x = _examples(knowledge, c)[:LOOKED_AT]
        first = _matrix(mechanism, x[:1], c)
        total, count = first, 1
        for one in x[1:].split(1):
            other = _matrix(mechanism, one, c)
            if count == 1 and torch.equal(other, first):
                break  # it does not depend on the record
            total, count = total + other, count + 1
        found.append(total / count)
    return torch.stack(found)


def _matrix(mechanism: Mechanism, x: Tensor, label: int) -> Tensor:
    law = bare(mechanism.distribution(x, _filled(x, label)))
    matrix: Tensor = law.covariance_matrix  # type: ignore[attr-defined]
    return torch.block_diag(*matrix.reshape(-1, *matrix.shape[-2:]))


def _examples(knowledge: Knowledge, label: int) -> Tensor:
    member = knowledge.labels == label
    return knowledge.inputs[member] if bool(member.any()) else knowledge.inputs[:LOOKED_AT]


def _filled(x: Tensor, label: int) -> Tensor:
    return torch.full((len(x),), label, dtype=torch.long, device=x.device)
