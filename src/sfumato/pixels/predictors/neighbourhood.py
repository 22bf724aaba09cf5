"""Averages of bought values, weighted by a kernel of features, in time and memory O(H·W)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor

RADIUS = 2
"""A pixel looks at its own cell and so many cells to each side."""
CELL = 0.7
"""The side of a cell in spacings: the points of a grid never share one."""
COARSER = 1e-4
"""How much less a level counts than the finer one before it: it fills what that leaves empty."""
_STEP = 4
"""How much larger the cells of the next level are."""
_FARTHEST = 30.0
"""Exponents end here, so that no weight underflows."""
_NONE = 1e-20


def kernel_average(
    features: Tensor, values: Tensor, mask: Tensor, reach: Tensor
) -> tuple[Tensor, Tensor]:
    """For every pixel the mean of the bought values near it, those alike in features above all.

    ŝ(x) = Σ_c m_c w(x, c) s_c / Σ_c m_c w(x, c), w = exp(-½|p_x - p_c|² / reach² - ½|f_x - f_c|²)

    with positions p in units of the spacing √(H·W / k) of a picture's k bought pixels. The sum
    runs over cells of about 0.7 spacings; m_c is the number of bought pixels in a cell, and s_c,
    p_c, f_c are their means. With at most one pixel per cell this is exact; it costs 25 weights
    per pixel whatever k is. Coarser cells, seen from coarser pixels, fill in where nothing is
    near. A pixel that is not bought has a gradient too: that of a value joining its cell.

    Args:
        features: `[B, F, H, W]`, in units of the kernel's width.
        values: `[B, V, H, W]`, 0 where the mask is.
        mask: `[B, 1, H, W]`.
        reach: the width of the kernel in spacings, a scalar tensor.

    Returns:
        The averages `[B, V, H, W]`, 0 where nothing was bought, and the total weights
        `[B, 1, H, W]`.
    """
    height, width = mask.shape[2:]
    count = mask.detach().flatten(1).sum(1, dtype=torch.float64).clamp_min(1.0)
    spacing = (height * width / count).sqrt()
    places = _places(height, width, mask) / (reach * spacing.to(mask)[:, None, None, None])
    features = torch.cat([places, features], 1)
    bought = torch.cat([mask, values, features * mask], 1)
    level = _Level(features, bought, values.shape[1])
    # By its own number of bought pixels: what is predicted of a picture is its own affair.
    sides = (CELL * spacing).round().clamp_min(1).long()
    kinds = sides.unique().tolist()
    if len(kinds) == 1:
        total = _totals(level, kinds[0])
    else:
        groups = [(sides == side).nonzero()[:, 0] for side in kinds]
        parts = [_totals(level.of(rows), side) for rows, side in zip(groups, kinds, strict=True)]
        total = torch.cat(parts)[torch.cat(groups).argsort()]
    return total[:, 1:] / (total[:, :1] + _NONE), total[:, :1]


def _totals(level: _Level, cell: int) -> Tensor:
    """Weights and weighted values with cells of so many pixels a side, and of coarser ones."""
    height, width = level.features.shape[2:]
    total, block, share = level.sums(cell), 1, 1.0
    while block * cell * (RADIUS + 1) < max(height, width):
        level, block, share = level.coarser(cell), block * cell, share * COARSER
        cell = _STEP
        more = level.sums(cell).repeat_interleave(block, 2).repeat_interleave(block, 3)
        total = total + share * more[:, :, :height, :width]
    return total


@final
@dataclass(frozen=True)
class _Level:
    """What is known of every pixel, or of every block of pixels.

    Args:
        features: the mean over all pixels of a block, `[B, F, h, w]`.
        bought: the sums over its bought pixels of 1, values and features, `[B, 1 + V + F, h, w]`.
        shown: V.
    """

    features: Tensor
    bought: Tensor
    shown: int

    def of(self, rows: Tensor) -> _Level:
        """Of some of the pictures."""
        return _Level(self.features[rows], self.bought[rows], self.shown)

    def coarser(self, side: int) -> _Level:
        """The same of blocks of `side` × `side`."""
        features = F.avg_pool2d(_filled(self.features, side), side)
        return _Level(features, _sums(self.bought, side), self.shown)

    def sums(self, side: int) -> Tensor:
        """The weights, and the weighted sums of values, with cells of `side` × `side`."""
        height, width = self.features.shape[2:]
        cells = _sums(self.bought, side)
        cells = torch.cat([cells[:, :1], cells[:, 1:] / (cells[:, :1] + _NONE)], 1)
        near = _neighbours(cells)  # [B, cells, 25, 1 + V + F]
        masses, means, centres = near.split([1, self.shown, self.features.shape[1]], 3)
        own = _cut(_filled(self.features, side), side)  # [B, cells, side², F]
        origin = own[:, :, :1]  # differences within a cell are small: no digits are cancelled
        weights = _kernel(own - origin, centres - origin) * masses.transpose(2, 3)
        parts = torch.matmul(weights, torch.cat([torch.ones_like(masses), means], 3))
        return _joined(parts, cells.shape[2:], side)[:, :, :height, :width]


def _places(height: int, width: int, like: Tensor) -> Tensor:
    rows = torch.arange(height, dtype=like.dtype, device=like.device)
    columns = torch.arange(width, dtype=like.dtype, device=like.device)
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"))[None]


def _kernel(own: Tensor, others: Tensor) -> Tensor:
    """exp(-½|a - b|²) for all pairs: `[..., n, F]` and `[..., m, F]` to `[..., n, m]`."""
    squares = own.square().sum(3, keepdim=True) + others.square().sum(3)[:, :, None]
    distance = squares - 2 * torch.matmul(own, others.transpose(2, 3))
    return (-0.5 * distance).clamp(-_FARTHEST, 0.0).exp()


def _sums(x: Tensor, side: int) -> Tensor:
    padded = F.pad(x, (0, -x.shape[3] % side, 0, -x.shape[2] % side))
    return F.avg_pool2d(padded, side, divisor_override=1)


def _filled(x: Tensor, side: int) -> Tensor:
    """Made a multiple of `side` high and wide by repeating the last row and column."""
    return F.pad(x, (0, -x.shape[3] % side, 0, -x.shape[2] % side), mode="replicate")


def _neighbours(coarse: Tensor) -> Tensor:
    """Of every cell itself and those around it, in rows: `[B, C, h, w]` to `[B, h·w, 25, C]`."""
    batch, channels = coarse.shape[:2]
    around = 2 * RADIUS + 1
    found = F.unfold(coarse, around, padding=RADIUS)
    return found.reshape(batch, channels, around**2, -1).permute(0, 3, 2, 1)


def _cut(x: Tensor, side: int) -> Tensor:
    """`[B, F, H, W]` to `[B, cells, side², F]`."""
    batch, channels, height, width = x.shape
    x = x.reshape(batch, channels, height // side, side, width // side, side)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, side * side, channels)


def _joined(x: Tensor, shape: torch.Size, side: int) -> Tensor:
    """`[B, cells, side², C]` to `[B, C, H, W]`."""
    batch, channels = len(x), x.shape[3]
    x = x.reshape(batch, *shape, side, side, channels).permute(0, 5, 1, 3, 2, 4)
    return x.reshape(batch, channels, shape[0] * side, shape[1] * side)
