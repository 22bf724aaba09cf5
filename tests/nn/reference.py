"""The equations written out with plain loops over records, classes, positions and kernels.

Slow and simple on purpose: nothing here calls a convolution, a matrix product or a softplus of
torch. All in float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Geometry:
    """How the window of a convolution moves; `pads` are (before, after) for each axis."""

    stride: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int = 1
    mode: str = "zeros"


def geometry(layer: Any) -> Geometry:
    """The geometry of one of our convolutions."""
    op = layer.operator
    if op.padding == "same":
        totals = [d * (k - 1) for d, k in zip(op.dilation, op.kernel_size, strict=True)]
        pads = tuple((total // 2, total - total // 2) for total in totals)
    elif op.padding == "valid":
        pads = ((0, 0),) * op.spatial
    else:
        pads = tuple((side, side) for side in op.padding)
    return Geometry(op.stride, pads, op.dilation, op.groups, op.padding_mode)


def source_index(position: int, size: int, mode: str) -> int | None:
    """Which element a (possibly padded) position shows; None for a zero of the padding."""
    if 0 <= position < size:
        return position
    if mode == "zeros":
        return None
    if mode == "circular":
        return position % size
    if mode == "replicate":
        return min(max(position, 0), size - 1)
    return -position if position < 0 else 2 * (size - 1) - position  # reflect


def window(
    place: Sequence[int], sizes: Sequence[int], kernel: Sequence[int], how: Geometry
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """(kernel index, input index) of what the output at `place` sees."""
    for offset in product(*map(range, kernel)):
        seen = [
            source_index(p * s - before + o * d, size, how.mode)
            for p, s, (before, _), o, d, size in zip(
                place, how.stride, how.pads, offset, how.dilation, sizes, strict=True
            )
        ]
        if None not in seen:
            yield offset, tuple(index for index in seen if index is not None)


def out_sizes(sizes: Sequence[int], kernel: Sequence[int], how: Geometry) -> list[int]:
    return [
        (size + sum(pads) - d * (k - 1) - 1) // s + 1
        for size, pads, d, k, s in zip(
            sizes, how.pads, how.dilation, kernel, how.stride, strict=True
        )
    ]


def correlate(x: Tensor, kernel: Tensor, how: Geometry) -> Tensor:
    """Spec 3, eq. 1: h_k[m, n] = Σ_i Σ_j k[i, j] x[m + i, n + j], and a sum over channels.

    `x` is one record `[in, *spatial]`, `kernel` `[out, in / groups, *window]`.
    """
    sizes, size = x.shape[1:], kernel.shape[2:]
    out, width = kernel.shape[:2]
    h = torch.zeros(out, *out_sizes(sizes, size, how), dtype=torch.float64)
    for k in range(out):
        first = k // (out // how.groups) * width
        for place in product(*map(range, h.shape[1:])):
            total = 0.0
            for offset, seen in window(place, sizes, size, how):
                for i in range(width):
                    total += kernel[(k, i, *offset)].item() * x[(first + i, *seen)].item()
            h[(k, *place)] = total
    return h


def average(share: Tensor, out: int, size: Sequence[int], how: Geometry) -> Tensor:
    """π̄: the mean of `share` `[in, *spatial]` over what each output sees, without the padding."""
    sizes, width = share.shape[1:], share.shape[0] // how.groups
    mean = torch.zeros(out, *out_sizes(sizes, size, how), dtype=torch.float64)
    for k in range(out):
        own = share[k // (out // how.groups) * width :][:width]
        for place in product(*map(range, mean.shape[1:])):
            seen = [own[(slice(None), *at)].mean() for _, at in window(place, sizes, size, how)]
            mean[(k, *place)] = sum(seen) / len(seen) if seen else own.mean()
    return mean


def affine(bias: Tensor | None, like: Tensor) -> Tensor | float:
    """A bias `[out]` that can be added to `like` `[out, *spatial]`."""
    return 0.0 if bias is None else bias.reshape(-1, *(1,) * (like.dim() - 1))


def blocks(count: int, rows: int) -> Iterator[slice]:
    """The rows of each parameter of the law in a fused kernel."""
    size = rows // count
    return (slice(p * size, (p + 1) * size) for p in range(count))


def convolved(x: Tensor, weight: Tensor, bias: Tensor | None, how: Geometry) -> list[Tensor]:
    """Raw location and raw scale of one record under one fused kernel (spec 3, eq. 5 and 6)."""
    raw = []
    for rows in blocks(2, weight.shape[0]):
        h = correlate(x, weight[rows], how)
        raw.append(h + affine(None if bias is None else bias[rows], h))
    return raw


def convolved_soft(
    x: Tensor, pi: Tensor, weight: Tensor, bias: Tensor | None, how: Geometry
) -> list[Tensor]:
    """Σ_c [W_c (π_c ⊙ x) + π̄_c b_c] for one record; `pi` is `[C, in, *spatial]`."""
    raw = []
    for rows in blocks(2, weight.shape[1]):
        total: Tensor | float = 0.0
        for c in range(len(weight)):
            kernel = weight[c, rows]
            total = total + correlate(pi[c] * x, kernel, how)
            if bias is not None:
                share = average(pi[c], len(kernel), kernel.shape[2:], how)
                total = total + share * affine(bias[c, rows], share)
        raw.append(total)
    return raw


def product_of(x: Tensor, weight: Tensor, bias: Tensor | None) -> list[Tensor]:
    """Raw parameters of one vector `[in]` under one fused matrix (spec 3, eq. 3 and 4)."""
    raw = []
    for rows in blocks(2, weight.shape[0]):
        h = torch.zeros(rows.stop - rows.start, dtype=torch.float64)
        for o, row in enumerate(weight[rows]):
            h[o] = sum(w.item() * v.item() for w, v in zip(row, x, strict=True))
        raw.append(h + affine(None if bias is None else bias[rows], h))
    return raw


def softplus(values: Tensor) -> Tensor:
    """log(1 + e^x), number by number."""
    each = [max(v, 0.0) + math.log1p(math.exp(-abs(v))) for v in values.flatten().tolist()]
    return torch.tensor(each, dtype=torch.float64).reshape(values.shape)


def parameters(raw: Sequence[Tensor], min_scale: float) -> tuple[Tensor, Tensor]:
    """Location and scale from raw values."""
    location, scale = raw
    return location, softplus(scale) + min_scale


def batch(raw: Sequence[Sequence[Tensor]], min_scale: float) -> tuple[Tensor, Tensor]:
    """Location and scale of all records, `[B, out, *spatial]` each."""
    location, scale = zip(*(parameters(one, min_scale) for one in raw), strict=True)
    return torch.stack(location), torch.stack(scale)
