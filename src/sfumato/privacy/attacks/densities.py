"""How likely each release is under the law of each record: the matched filter."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Distribution, MixtureSameFamily, Normal

from sfumato.objectives.moments import bare
from sfumato.privacy.attacks.fresh import is_gaussian
from sfumato.privacy.attacks.moments import has_covariance, known_law
from sfumato.privacy.attacks.summary import Located
from sfumato.privacy.knowledge import Mechanism

_ELEMENTS = 2**24
"""What one broadcast comparison may hold."""
_LOOKED_AT = 8
"""Records over which a full covariance is averaged, where it depends on the record."""
_TINY = torch.finfo(torch.float32).tiny


@torch.no_grad()
def log_densities(
    mechanism: Mechanism,
    seen: Tensor,
    inputs: Tensor,
    label: int,
    *,
    releases: int = 1,
    exact: bool = True,
    summary: Located | None = None,
) -> Tensor:
    """The log density of every release under the law of every record, `[N, M]`, float64.

    Gaussian laws cost one matrix product, two where the scale depends on the record; a full
    covariance that depends on it is averaged over a few records. The average of K releases has
    their covariance over K. Laws of another family are compared element by element; an average of
    their releases, or `exact=False`, takes the Gaussian of their moments.

    Args:
        mechanism: states the law of a release.
        seen: releases `[N, ...]`, or averages of K releases.
        inputs: records `[M, ...]`.
        label: under which they are released.
        releases: K.
        exact: whether laws that are not Gaussian are taken as they are.
        summary: then `seen` is its features, `[N, e]` or `[N, 2 e]`: what K releases tell.
    """
    parts = []
    flat = seen.flatten(1).double()
    for x in inputs.split(1024):
        law = bare(mechanism.distribution(x, _filled(x, label)))
        if summary is not None:
            parts.append(_summarised(summary, flat, law))
            continue
        if not is_gaussian(law) and releases == 1 and exact:
            parts.append(_one_by_one(mechanism, seen, x, label))
            continue
        mean = law.mean.reshape(len(x), -1).double()
        if has_covariance(law):
            root = torch.linalg.cholesky(_covariance(mechanism, x, label) / releases)
            parts.append(_whitened(flat, mean, root))
        else:
            variance = law.variance.reshape(len(x), -1).double() / releases
            parts.append(_elementwise(flat, mean, variance.clamp(min=_TINY)))
    return torch.cat(parts, 1)


def log_likelihood(law: Distribution, seen: Tensor, releases: int = 1) -> Tensor:
    """The log density of each release under its own law, `[N]`, float64.

    Of an average of K releases, up to a constant: it has the law's covariance over K. Of laws that
    are not Gaussian it then takes the Gaussian of the moments.
    """
    law = bare(law)
    value = seen.reshape(law.mean.shape)
    if releases > 1:
        value = law.mean + math.sqrt(releases) * (value - law.mean)
        if not is_gaussian(law):
            law = Normal(law.mean, law.variance.clamp(min=_TINY).sqrt(), validate_args=False)
    return law.log_prob(value).reshape(len(seen), -1).double().sum(1)


def has_density(mechanism: Mechanism, inputs: Tensor, label: int) -> bool:
    """Whether `log_densities` is exact: the law is known, a full covariance the same for all."""
    two = inputs[[0, -1]]
    law = known_law(mechanism, two, _filled(two, label))
    if law is None or not has_covariance(law):
        return law is not None
    matrices = [_covariance(mechanism, x, label) for x in two.split(1)]
    return torch.equal(*matrices)


def _filled(x: Tensor, label: int) -> Tensor:
    return torch.full((len(x),), label, dtype=torch.long, device=x.device)


def _covariance(mechanism: Mechanism, inputs: Tensor, label: int) -> Tensor:
    """The mean covariance of a release of a few records, `[e, e]`, float64."""
    found = []
    for x in inputs[:_LOOKED_AT].split(1):
        law = bare(mechanism.distribution(x, _filled(x, label)))
        matrix: Tensor = law.covariance_matrix  # type: ignore[attr-defined]
        found.append(torch.block_diag(*matrix.reshape(-1, *matrix.shape[-2:])).double())
        if len(found) == 2 and torch.equal(*found):
            break  # it does not depend on the record
    return torch.stack(found).mean(0)


def _summarised(summary: Located, features: Tensor, law: Distribution) -> Tensor:
    """`summary.log_likelihood` of every row under the law of every record."""
    located, spread = summary.pieces(features)
    mean, variance = (v.reshape(len(v), -1).double() for v in (law.mean, law.variance))
    variance, noise = variance.clamp(min=_TINY), summary.noise_of
    found = _elementwise(located, mean, noise.variance * variance)
    if spread is None:
        return found
    logs = variance.log()
    if noise.freedom is None:
        return found + _elementwise(
            spread, logs + noise.shift, torch.full_like(logs, noise.log_variance)
        )
    return found - noise.freedom / 2 * (logs.sum(1) + spread.exp() @ (1 / variance).T)


def _whitened(seen: Tensor, mean: Tensor, root: Tensor) -> Tensor:
    seen, mean = (torch.linalg.solve_triangular(root, v.T, upper=False).T for v in (seen, mean))
    density = _elementwise(seen, mean, torch.ones_like(mean))
    return density - root.diagonal().log().sum()


def _elementwise(seen: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    centre = mean.mean(0)  # small numbers lose less when squares are expanded
    seen, mean = seen - centre, mean - centre
    constant = -0.5 * torch.log(2 * math.pi * variance).sum(1)
    if bool((variance == variance[:1]).all()):
        scale = variance[0].sqrt()
        seen, mean = seen / scale, mean / scale
        squares = seen.square().sum(1, keepdim=True) + mean.square().sum(1)
        return constant + seen @ mean.T - 0.5 * squares
    precision = 1 / variance
    squares = seen.square() @ precision.T + (mean.square() * precision).sum(1)
    return constant + seen @ (mean * precision).T - 0.5 * squares


def _one_by_one(mechanism: Mechanism, seen: Tensor, inputs: Tensor, label: int) -> Tensor:
    parts, classes = [], 1
    first = bare(mechanism.distribution(inputs[:1], _filled(inputs[:1], label)))
    if isinstance(first, MixtureSameFamily):  # compared with every part
        classes = int(first.mixture_distribution.logits.shape[-1])
    for x in inputs.split(max(1, _ELEMENTS // max(1, classes * seen.numel()))):
        law = bare(mechanism.distribution(x, _filled(x, label)))
        value = seen.reshape(len(seen), 1, *law.mean.shape[1:])
        density = law.log_prob(value).reshape(len(seen), len(x), -1)
        parts.append(density.double().sum(2))
    return torch.cat(parts, 1)
