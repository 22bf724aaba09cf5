"""Location, noise and entropy of the releases of many records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor
from torch.distributions import Distribution

from sfumato.data.records import Records
from sfumato.privacy.attacks.moments import bare, has_covariance, known_law, moments_of
from sfumato.privacy.knowledge import Knowledge, Mechanism


@final
@dataclass(frozen=True)
class Laws:
    """The laws of the releases of records, `e` elements each.

    Args:
        location: `[N, e]`.
        variance: `[N, e]`.
        entropy: in nats, `[N]`.
        labels: `[N]`.
        covariance: the mean covariance within each class, `[C, e, e]`, where elements are tied.
    """

    location: Tensor
    variance: Tensor
    entropy: Tensor
    labels: Tensor
    covariance: Tensor | None

    def part(self, index: Tensor) -> Laws:
        """Those at `index`."""
        return Laws(
            self.location[index],
            self.variance[index],
            self.entropy[index],
            self.labels[index],
            self.covariance,
        )


def continuous_law(mechanism: Mechanism, records: Records) -> Distribution | None:
    """The law of a record's release if it is known, continuous, and tells its entropy."""
    law = known_law(mechanism, records.inputs[:1], records.labels[:1])
    if law is None:
        return None
    try:
        law.entropy()
        support: Any = law.support
        return None if support.is_discrete else law
    except (AttributeError, NotImplementedError):
        return None


@torch.no_grad()
def laws_of(mechanism: Mechanism, *several: Records) -> list[Laws]:
    """The laws of records; a full covariance is that of the first ones, the attacker's own."""
    first, covariance = several[0], None
    law = known_law(mechanism, first.inputs[:1], first.labels[:1])
    if law is not None and has_covariance(law):
        classes = max(records.num_classes for records in several)
        covariance = moments_of(Knowledge(first.inputs, first.labels, classes, [mechanism])).noise
    return [Laws(*_rows(mechanism, records), records.labels, covariance) for records in several]


def _rows(mechanism: Mechanism, records: Records) -> tuple[Tensor, Tensor, Tensor]:
    rows = []
    for x, c in zip(records.inputs.split(1024), records.labels.split(1024), strict=True):
        law = bare(mechanism.distribution(x, c))
        flat = (v.reshape(len(x), -1) for v in (law.mean, law.variance, law.entropy()))
        rows.append(tuple(flat))
    location, variance, entropy = (torch.cat(parts) for parts in zip(*rows, strict=True))
    return location, variance, entropy.double().sum(1)
