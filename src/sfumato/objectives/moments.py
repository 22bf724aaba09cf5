"""Locations and mean noise of the releases of many records, with gradient."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributions import (
    Distribution,
    Independent,
    LowRankMultivariateNormal,
    MultivariateNormal,
    ReshapeTransform,
    TransformedDistribution,
)

from sfumato.errors import DataError

LOOKED_AT = 32  # records over which a covariance matrix that depends on the record is averaged


def moments(law: Distribution) -> tuple[Tensor, Tensor]:
    """The locations `[N, d]` and E[S], variances `[d]` or a covariance `[d, d]`.

    Args:
        law: of a batch of releases, `[N, ...]`, element by element; or a multivariate normal one,
            whose covariance is averaged over 32 records at most where it differs.

    Raises:
        DataError: the elements of a release hang together in a way that the law does not tell.
    """
    inner = bare(law)
    # Reshaping costs the law its moments: they are those of what is inside.
    location = inner.mean.reshape(len(inner.mean), -1)
    if inner.event_shape:
        return location, _covariance(inner)
    return location, inner.variance.reshape(location.shape).mean(0)


def entropy(law: Distribution) -> Tensor:
    """The mean entropy of one whole release, in nats."""
    found = bare(law).entropy()
    return found.reshape(len(found), -1).sum(1).mean()


def whitened(y: Tensor, noise: Tensor) -> Tensor:
    """Rows `y` `[N, d]` in units of the noise: S^-½ y, for variances or a covariance."""
    if noise.dim() == 1:
        return y / noise.sqrt()
    return torch.linalg.solve_triangular(torch.linalg.cholesky(noise), y.T, upper=False).T


def bare(law: Any) -> Distribution:
    """The law without what only reshapes it."""
    while isinstance(law, Independent) or _only_reshapes(law):
        law = law.base_dist
    return law


def _only_reshapes(law: Any) -> bool:
    return isinstance(law, TransformedDistribution) and all(
        isinstance(step, ReshapeTransform) for step in law.transforms
    )


def _covariance(law: Distribution) -> Tensor:
    if isinstance(law, LowRankMultivariateNormal):
        factor, own = _few(law.cov_factor), _few(law.cov_diag)
        return (factor @ factor.mT).mean(0) + own.mean(0).diag()
    if isinstance(law, MultivariateNormal):
        lower = _few(law.scale_tril)
        return (lower @ lower.mT).mean(0)
    raise DataError(
        f"the elements of a release hang together under a {type(law).__name__}, and nobody knows "
        "how: give a law with independent elements or a multivariate normal one"
    )


def _few(values: Any) -> Tensor:
    """Of all records one where they share it, which a view tells, or a few where they do not."""
    return values[:1] if values.stride(0) == 0 else values[:LOOKED_AT]
