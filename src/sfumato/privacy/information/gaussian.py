"""Upper bounds on mutual information: a fitted Gaussian costs no less than the true law."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sfumato.privacy.attacks.covariance import towards_diagonal
from sfumato.privacy.information.laws import Laws
from sfumato.privacy.knowledge import class_means
from sfumato.train.seed import generator

_SHARES = (0.0, 0.01, 0.05, 0.2, 1.0)


def gaussian_bounds(
    known: Laws, target: Laws, classes: int, *, given_label: bool, seed: int
) -> dict[str, Tensor]:
    """Per attacked record, what a Gaussian fitted to the attacker's records makes of its release.

    For any density q, I(x; y) = h(y) - h(y | x) ≤ E[-log q(y)] - E[h(y | x)]. With q a Gaussian of
    mean ν and covariance Σ, and a law of location m and covariance S,

        E[-log q(y) | x] = ½ log det 2πΣ + ½ (m - ν)ᵀ Σ⁻¹ (m - ν) + ½ tr Σ⁻¹ S,

    without a draw. ν and Σ = Cov(m) + E[S] come from records that are not evaluated, so the mean
    over the attacked records is an upper bound in expectation, whatever the law of the records;
    ½ log det of a sample's own covariance would lie below it. Given the label, q has a mean for
    each class and I(x; y | c) is bounded.

    Args:
        known: the attacker's records.
        target: the attacked ones.
        classes: how many there are.
        given_label: whether the label is public.
        seed: of the split by which the shrinkage is chosen.

    Returns:
        "full" and "diagonal" covariance, `[N]` each, in nats.
    """
    groups = known.labels if given_label else torch.zeros_like(known.labels)
    others = target.labels if given_label else torch.zeros_like(target.labels)
    count = classes if given_label else 1
    share = _share(known, groups, count, seed)
    return {
        name: _cost(known, groups, target, others, count, weight) - target.entropy
        for name, weight in (("full", share), ("diagonal", 1.0))
    }


def _share(known: Laws, groups: Tensor, count: int, seed: int) -> float:
    """How far to shrink Σ towards its diagonal: the cheapest on a held-out fifth."""
    order = torch.randperm(len(groups), generator=generator(seed, "information", "gaussian"))
    held, used = order.tensor_split([max(1, len(order) // 5)])
    if len(used) < 2:
        return 1.0
    costs = [
        float(
            _cost(known.part(used), groups[used], known.part(held), groups[held], count, w).mean()
        )
        for w in _SHARES
    ]
    return _SHARES[min(range(len(costs)), key=costs.__getitem__)]


def _cost(
    known: Laws, groups: Tensor, target: Laws, others: Tensor, count: int, weight: float
) -> Tensor:
    """E[-log q(y) | x] of each attacked record, `[N]`."""
    location = known.location.double()
    means = class_means(location, groups, count)
    deviation = location - means[groups]
    freedom = max(1, len(groups) - len(groups.unique()))
    spread = deviation.T @ deviation / freedom
    spread, _ = towards_diagonal(spread, spread, weight)
    sigma = spread + _mean_noise(known)
    floor = 1e-10 * sigma.diagonal().mean().clamp(min=torch.finfo(torch.float32).tiny)
    root = torch.linalg.cholesky(sigma + floor * torch.eye(len(sigma), dtype=sigma.dtype))
    off = (target.location.double() - means[others]).T
    squares = torch.linalg.solve_triangular(root, off, upper=False).square().sum(0)
    constant = len(sigma) * math.log(2 * math.pi) + 2 * root.diagonal().log().sum()
    return 0.5 * (constant + squares + _trace(root, target))


def _mean_noise(laws: Laws) -> Tensor:
    if laws.covariance is None:
        return laws.variance.double().mean(0).diag()
    shares = laws.labels.bincount(minlength=len(laws.covariance)).double() / len(laws.labels)
    return torch.einsum("c,cij->ij", shares, laws.covariance.double())


def _trace(root: Tensor, laws: Laws) -> Tensor:
    inverse = torch.cholesky_inverse(root)
    if laws.covariance is None:
        return laws.variance.double() @ inverse.diagonal()
    return (laws.covariance.double() * inverse).sum((1, 2))[laws.labels]
