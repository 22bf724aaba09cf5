"""Fresh draws as an attacker makes them: averages of K releases at the price of one."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Distribution, LowRankMultivariateNormal, MultivariateNormal, Normal

from sfumato.objectives.moments import bare
from sfumato.privacy.attacks.moments import has_covariance, known_law
from sfumato.privacy.knowledge import Mechanism

_NEARLY_GAUSSIAN = 16
"""From more releases than these on, an average is drawn from the Gaussian of its moments."""


def is_gaussian(law: Distribution) -> bool:
    """Whether the law is a Gaussian, of elements that are independent or tied."""
    kinds = Normal, MultivariateNormal, LowRankMultivariateNormal
    return isinstance(bare(law), kinds)


@torch.no_grad()
def fresh(mechanism: Mechanism, x: Tensor, labels: Tensor, releases: int = 1) -> Tensor:
    """The average of K fresh releases of each record, for an attacker to learn from.

    Where the law is Gaussian the average is drawn at once, exactly, as location + noise / √K; so
    is that of many releases of another law, nearly.
    """
    first = mechanism.release(x, labels)
    if releases == 1:
        return first
    law = known_law(mechanism, x, labels)
    if law is not None and is_gaussian(law):
        mean = law.mean.reshape(first.shape)
        return mean + (first - mean) / math.sqrt(releases)
    if law is not None and releases > _NEARLY_GAUSSIAN and not has_covariance(law):
        noise = law.stddev * torch.randn_like(law.mean) / math.sqrt(releases)
        return (law.mean + noise).reshape(first.shape)
    for _ in range(releases - 1):
        first = first + mechanism.release(x, labels)
    return first / releases
