"""What K releases of a record tell beside their average: how far they spread, and their middle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import LowRankMultivariateNormal, MultivariateNormal, Normal

from sfumato.privacy.attacks.moments import known_law
from sfumato.privacy.knowledge import Mechanism

FLOOR = 1e-12
"""A variance below this one counts as this one, so that its logarithm stays finite."""
_HELD = 2**24
"""Numbers that may lie in memory while a median is found."""
_LOOKED_AT = 64
"""Records on which it is seen whether the scale follows the record."""


@final
@dataclass(frozen=True)
class Kept:
    """What an attacker keeps of K releases beside their average.

    Args:
        spread: the logarithm of their sample variance, element by element.
        median: their median.
    """

    spread: bool = False
    median: bool = False


@final
@dataclass(frozen=True)
class Statistics:
    """What is kept of K releases of each record, `[N, ...]` each."""

    mean: Tensor
    spread: Tensor | None = None
    median: Tensor | None = None


@torch.no_grad()
def kept_of(mechanism: Mechanism, inputs: Tensor, labels: Tensor, releases: int) -> Kept:
    """Which statistics tell something that the average of K releases does not.

    The spread, where the scale differs between records under one label; the median of three or
    more, where the law is not Gaussian; both where the law is not known.
    """
    if releases < 2 or not len(inputs):
        return Kept()
    x = inputs[:: max(1, len(inputs) // _LOOKED_AT)][:_LOOKED_AT]
    spread = median = False
    for label in labels.unique().tolist():
        law = known_law(mechanism, x, torch.full((len(x),), label, device=x.device))
        if law is None:
            return Kept(True, releases > 2)
        variance = law.variance.reshape(len(x), -1)
        spread = spread or bool((variance.amax(0) > variance.amin(0) * (1 + 1e-4)).any())
        median = not isinstance(law, (Normal, MultivariateNormal, LowRankMultivariateNormal))
    return Kept(spread, releases > 2 and median)


@torch.no_grad()
def summarised(
    mechanism: Mechanism, inputs: Tensor, labels: Tensor, releases: int, kept: Kept
) -> Statistics:
    """The statistics of K fresh releases of each record, in batches."""
    rows = 512
    if kept.median:
        rows = min(rows, max(1, _HELD // (releases * inputs[0].numel())))
    parts = zip(inputs.split(rows), labels.split(rows), strict=True)
    found = [_batch(mechanism, x, c, releases, kept) for x, c in parts]
    spreads = [one.spread for one in found if one.spread is not None]
    medians = [one.median for one in found if one.median is not None]
    return Statistics(
        torch.cat([one.mean for one in found]),
        torch.cat(spreads) if spreads else None,
        torch.cat(medians) if medians else None,
    )


def _batch(
    mechanism: Mechanism, x: Tensor, labels: Tensor, releases: int, kept: Kept
) -> Statistics:
    first = mechanism.release(x, labels)
    total, held = first, [first]
    off, squares = torch.zeros_like(first), torch.zeros_like(first)
    for _ in range(releases - 1):
        another = mechanism.release(x, labels)
        total = total + another
        if kept.spread:  # around the first one, so that the squares stay small
            off += another - first
            squares += (another - first).square()
        if kept.median:
            held.append(another)
    spread = None
    if kept.spread:
        variance = (squares - off.square() / releases) / (releases - 1)
        spread = variance.clamp(min=FLOOR).log()
    median = middle(torch.stack(held, -1)) if kept.median else None
    return Statistics(total / releases, spread, median)


def middle(values: Tensor) -> Tensor:
    """The median along the last axis; of an even number the mean of the two in the middle."""
    lower = values.median(-1).values  # of an even number the lower one
    if values.shape[-1] % 2:
        return lower
    # The upper one by hand: to sort costs three times as much.
    below = values <= lower.unsqueeze(-1)
    upper = values.masked_fill(below, float("inf")).amin(-1)
    tied = below.sum(-1) > values.shape[-1] // 2
    return (lower + torch.where(tied, lower, upper)) / 2
