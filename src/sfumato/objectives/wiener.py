"""What the best linear decoder recovers, as a differentiable function of the noise."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution

from sfumato.errors import DataError
from sfumato.objectives.moments import moments, whitened
from sfumato.objectives.squares import squares, tells_by_scale
from sfumato.objectives.within import within_class


def wiener_leak(
    law: Distribution,
    records: Tensor,
    labels: Tensor | None = None,
    *,
    patch: int | None = None,
    scales: bool | None = None,
    ridge: float = 1e-8,
) -> Tensor:
    """The leak under the linear decoder that is optimal for this very noise, in [0, 1].

    With C_x and C_y the covariances of records and locations within the classes, C_xy that between
    them, and S̄ the mean covariance of the noise, the Wiener decoder (Wiener, 1949) recovers

        leak = tr[C_xy (C_y + S̄)⁻¹ C_yx] / tr C_x

    of what the class mean leaves open, and no linear decoder that all classes share recovers more.
    It is exact given the records: nothing is drawn. It does not change if location and scale grow
    together, and falls to 0 as the scale grows.

    With Y = (locations - class means) S̄^-½ / √N it equals 1 - ‖L⁻¹ X‖² / ‖X‖² where
    L Lᵀ = I + Y Yᵀ is N × N, so the cost is N² (d + N / 3) for N records of d elements where
    N < d, and d² (N + d / 3) otherwise. Few records flatter the decoder: it is fitted to them.

    Where each class has noise of its own, a decoder knows that too, and recovers more than from the
    mean noise, since the leak is convex in S: one class under a lot of noise does not make up for
    another under little. `OnRecords` looks at one class at a time.

    Args:
        law: the law of the releases of `records`, `[N, ...]`: element by element, or multivariate
            normal.
        records: `[N, ...]`, of any shape.
        labels: `[N]`; None for the leak beyond the mean of all.
        patch: let the decoder see squares of so many pixels a side, one at a time, instead of the
            whole picture: a lower bound for little money. Records and releases must then be
            pictures `[N, C, H, W]` of one size.
        scales: let the decoder see the squares of the release too. A scale that depends on the
            record, as that of a convolution does, tells of it, and a decoder that is linear in the
            release is blind to that: an obfuscator that is fitted against it learns to write the
            record into its scale. None for yes where the scale differs between records of a class
            (and the law is Gaussian or Laplace, with independent elements), no elsewhere.
        ridge: is added to S̄, as a share of the mean variance of the releases.

    Returns:
        A scalar in the dtype of the law's mean.

    Raises:
        DataError: fewer than two records, or shapes that do not fit.

    Example:
        >>> import torch
        >>> x = torch.tensor([[-1.0], [1.0]])
        >>> float(wiener_leak(torch.distributions.Normal(x, 1.0), x))
        0.5
    """
    location, noise = moments(law)
    if len(records) < 2 or len(location) != len(records):
        raise DataError(
            f"the Wiener leak needs at least two records and the law of each, not {len(records)} "
            f"records and {len(location)} laws"
        )
    # In double precision: a scale may be a thousandth of the location.
    x = within_class(records.flatten(1).double(), labels)
    y = within_class(location.double(), labels)
    if tells_by_scale(law, labels) if scales is None else scales:
        seen = squares(law, y, labels, ridge)
    else:
        seen = (whitened(y, _ridged(noise.double(), y, ridge)),)
    total = x.square().sum().clamp(min=torch.finfo(x.dtype).tiny)
    if patch is not None:
        if noise.dim() > 1:
            raise DataError("patches need noise of its own for each element: leave patch out")
        x, *seen = (_cut(part, records.shape, patch) for part in (x, *seen))
    y = torch.cat(tuple(seen), -1) / len(records) ** 0.5
    return (_recovered(x, y) / total).to(location.dtype)


def _recovered(x: Tensor, y: Tensor) -> Tensor:
    """The part of ‖x‖² that a decoder of `y` + unit noise recovers; `[..., N, d]`."""
    records, size = y.shape[-2:]
    if records <= size:
        lower = _cholesky(y @ y.mT)
        left = torch.linalg.solve_triangular(lower, x, upper=False)
        return x.square().sum() - left.square().sum()
    lower = _cholesky(y.mT @ y)
    return torch.linalg.solve_triangular(lower, y.mT @ x, upper=False).square().sum()


def _ridged(noise: Tensor, y: Tensor, ridge: float) -> Tensor:
    """The noise and a little more, so that it can be inverted."""
    variance = noise if noise.dim() == 1 else noise.diagonal()
    more = ridge * (y.square().mean(0) + variance).mean().clamp(min=1e-12)
    return noise + (more if noise.dim() == 1 else more * _eye(noise))


def _cholesky(gram: Tensor) -> Tensor:
    return torch.linalg.cholesky(gram + _eye(gram))


def _eye(like: Tensor) -> Tensor:
    return torch.eye(like.shape[-1], dtype=like.dtype, device=like.device)


def _cut(values: Tensor, shape: torch.Size, side: int) -> Tensor:
    """Rows `[N, d]` -> patches of them `[P, N, C * side²]`; what is missing at the rim is 0."""
    if len(shape) != 4 or values[0].numel() != shape[1:].numel() or side < 1:
        raise DataError(
            f"patches of {side} need records and releases that are pictures [N, C, H, W] of one "
            f"size, not records {list(shape)} and {values.shape[1]} elements"
        )
    values = values.reshape(shape)
    height, width = shape[2:]
    padded = F.pad(values, (0, -width % side, 0, -height % side))
    parts = padded.unflatten(3, (-1, side)).unflatten(2, (-1, side))  # [N, C, h, side, w, side]
    return parts.permute(2, 4, 0, 1, 3, 5).flatten(3).flatten(0, 1)
