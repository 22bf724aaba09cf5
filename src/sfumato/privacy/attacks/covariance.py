"""Covariances of rows, and the linear decoder that they make."""

from __future__ import annotations

import torch
from torch import Tensor

DOUBLE = 1e8  # multiplications above which products are taken in the rows' own precision
CONDITION = 1e5  # of a matrix; above it, it is solved in double precision


def second(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The mean products y yᵀ and x yᵀ; zero for less than two rows, which have no spread."""
    size = y.shape[1]
    if len(x) < 2:
        return y.new_zeros(size, size), y.new_zeros(x.shape[1], size)
    if len(y) * size * size < DOUBLE:
        x, y = x.double(), y.double()
    return y.T @ y / len(y), x.T @ y / len(y)


def add_noise(covariance: Tensor, noise: Tensor) -> Tensor:
    """`covariance` plus variances `[e]` or a covariance `[e, e]`, in place."""
    if noise.dim() == 1:
        covariance.diagonal().add_(noise)
        return covariance
    return covariance.add_(noise)


def towards_diagonal(covariance: Tensor, cross: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """(1 - weight) times both plus weight times their diagonals; `cross` only if it is square."""
    if not weight:
        return covariance, cross
    keep = 1 - weight
    shrunk = keep * covariance
    shrunk.diagonal().add_(weight * covariance.diagonal())
    if cross.shape[0] != cross.shape[1]:
        return shrunk, cross
    narrow = keep * cross
    narrow.diagonal().add_(weight * cross.diagonal())
    return shrunk, narrow


def gain(covariance: Tensor, cross: Tensor, noise: Tensor) -> Tensor:
    """Cov(x, μ) (Cov(μ) + S)⁻¹, `[d, e]`, in single precision where that is safe.

    Args:
        covariance: of the locations, `[e, e]`.
        cross: of records and locations, `[d, e]`.
        noise: variances `[e]` or a covariance `[e, e]`.
    """
    least = (noise if noise.dim() == 1 else noise.diagonal()).min()
    most = covariance.diagonal().sum() + noise.abs().max()
    safe = len(covariance) > 256 and noise.dim() == 1 and bool(most < CONDITION * least)
    dtype = torch.float32 if safe else torch.float64
    total = add_noise(covariance.to(dtype, copy=True), noise.to(dtype))
    # The noise keeps this well conditioned; the ridge covers a vanishing min_scale.
    ridge = torch.finfo(dtype).eps ** 0.5 * total.diagonal().mean().clamp(min=1e-12)
    total.diagonal().add_(ridge if not safe else 1e-7 * ridge)
    factor, failed = torch.linalg.cholesky_ex(total)
    if bool(failed):
        return torch.linalg.solve(total, cross.to(dtype).T).T
    return torch.cholesky_solve(cross.to(dtype).T, factor).T
