"""Bounds on mutual information from the mechanism's own density, with nothing to learn."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sfumato.data.records import Records
from sfumato.privacy.attacks.densities import log_densities, log_likelihood
from sfumato.privacy.knowledge import Mechanism


@torch.no_grad()
def kernel_bounds(
    mechanism: Mechanism, known: Records, target: Records, seen: Tensor, *, given_label: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """InfoNCE with the optimal critic log p(y | x), and the mixture of p(y | x_j) as a density.

    With M records x_j of the attacker's own, of the same label where that is given,

        lower: log p(y | x) - log (p(y | x) + Σ_j p(y | x_j)) / (M + 1)
        upper: log p(y | x) - log Σ_j p(y | x_j) / M

    (Poole et al., 2019, "On variational bounds of mutual information", eq. 12 and 13). The lower
    bound cannot exceed log(M + 1).

    Args:
        mechanism: states the law of a release.
        known: the attacker's records.
        target: the attacked ones.
        seen: one fresh release of each.
        given_label: whether the label is public.

    Returns:
        Lower and upper bound and log(M + 1) of each attacked record, `[N]`, in nats.
    """
    law = mechanism.distribution(target.inputs, target.labels)
    own = log_likelihood(law, seen)
    total = torch.full_like(own, -math.inf)
    count = torch.zeros_like(own)
    for c in known.labels.unique().tolist():
        rows = torch.arange(len(target))
        if given_label:
            rows = (target.labels == c).nonzero().flatten()
        gallery = known.inputs[known.labels == c]
        for some in rows.split(512):
            scores = log_densities(mechanism, seen[some], gallery, c).logsumexp(1)
            total[some] = torch.logaddexp(total[some], scores)
            count[some] += len(gallery)
    lower = own - torch.logaddexp(total, own) + (count + 1).log()
    return lower, own - total + count.log(), (count + 1).log()
