"""The shapes of the square attack (Andriushchenko et al. 2020)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

TINY = 1e-12
CANCELLED = 1e-3


@final
@dataclass(frozen=True)
class Window:
    """One window of every picture: at most `side` rows and columns from its own corner."""

    top: Tensor
    left: Tensor
    rows: int
    columns: int
    height: int
    width: int

    @classmethod
    def random(cls, pictures: Tensor, side: int) -> Window:
        """A window of random place in each of `[B, C, H, W]`, cut to the picture's size."""
        size, _, height, width = pictures.shape
        # a row of pixels has no height to lose: it gets the area in width
        rows = min(side, height)
        columns = min(max(1, side * side // rows), width) if height == 1 else min(side, width)
        top = torch.randint(0, height - rows + 1, (size,), device=pictures.device)
        left = torch.randint(0, width - columns + 1, (size,), device=pictures.device)
        return cls(top, left, rows, columns, height, width)

    def mask(self) -> Tensor:
        """`[B, 1, H, W]`: True inside."""
        device = self.top.device
        row = torch.arange(self.height, device=device) - self.top[:, None]
        column = torch.arange(self.width, device=device) - self.left[:, None]
        inside = ((row >= 0) & (row < self.rows))[:, :, None]
        return (inside & ((column >= 0) & (column < self.columns))[:, None])[:, None]

    def paste(self, patch: Tensor) -> Tensor:
        """`[B, C, H, W]`: the patches `[B, C, rows, columns]` in their places, 0 elsewhere."""
        device = self.top.device
        canvas = patch.new_zeros(*patch.shape[:2], self.height, self.width)
        row = self.top[:, None, None] + torch.arange(self.rows, device=device)[:, None]
        column = self.left[:, None, None] + torch.arange(self.columns, device=device)
        record = torch.arange(len(patch), device=device)[:, None, None]
        canvas[record, :, row, column] = patch.permute(0, 2, 3, 1)
        return canvas


def stripes(pictures: Tensor) -> Tensor:
    """Vertical stripes of ±1, one sign for each channel and column: the start in L∞."""
    size, channels, _, width = pictures.shape
    return _signs((size, channels, 1, width), pictures)


def bump(rows: int, columns: int, like: Tensor) -> Tensor:
    """Two bumps of opposite sign on halves of a window, `[rows, columns]`, of norm 1."""
    if rows * columns == 1:
        return like.new_ones(1, 1)
    if rows >= columns:
        half = rows // 2
        parts = [_peak(half, columns), -_peak(rows - half, columns)]
        shape = torch.cat(parts, 0)
    else:
        half = columns // 2
        shape = torch.cat([_peak(rows, half), -_peak(rows, columns - half)], 1)
    return (shape / shape.norm()).to(like)


def bumps(pictures: Tensor) -> Tensor:
    """A grid of bumps of random signs, of norm 1 per picture: the start in L2."""
    size, channels, height, width = pictures.shape
    cells = min(5, height), min(5, width)
    rows, columns = height // cells[0], width // cells[1]
    tile = bump(rows, columns, pictures).repeat(*cells)
    signs = _signs((size, channels, *cells), pictures)
    signs = signs.repeat_interleave(rows, 2).repeat_interleave(columns, 3)
    grid = pictures.new_zeros(size, channels, height, width)
    grid[:, :, : tile.shape[0], : tile.shape[1]] = tile * signs
    return grid / grid.flatten(1).norm(dim=1).view(-1, 1, 1, 1)


def swapped(delta: Tensor, share: float, epsilon: float) -> Tensor:
    """The perturbation with the norm of one random window moved to another (algorithm 3).

    The new window gets, channel by channel, all the norm that both held, and what is left to ε.
    """
    height, width = delta.shape[2:]
    side = max(1, round(math.sqrt(share * height * width)))
    to, off = Window.random(delta, side), Window.random(delta, side)
    inside, outside = to.mask(), off.mask()
    unused = (epsilon**2 - delta.flatten(1).square().sum(1)).clamp(min=0).view(-1, 1, 1, 1)
    both = (delta.square() * (inside | outside)).sum((2, 3), keepdim=True)
    available = (both + unused / delta.shape[1]).sqrt()
    sign = _signs((*delta.shape[:2], 1, 1), delta)
    shape = bump(to.rows, to.columns, delta).expand(*delta.shape[:2], -1, -1)
    held = delta * inside
    held = held / held.square().sum((2, 3), keepdim=True).sqrt().clamp(min=TINY)
    fresh = to.paste(shape * sign)
    new = fresh + held
    length = new.square().sum((2, 3), keepdim=True).sqrt()
    # a bump on one of opposite sign leaves nothing: then it stands alone
    new = torch.where(length > CANCELLED, new / length.clamp(min=TINY), fresh)
    return torch.where(inside | outside, new * available, delta)


def _peak(rows: int, columns: int) -> Tensor:
    """Σ of ever smaller rectangles around the centre, each weighing 1 / (its distance)²."""
    total, steps = torch.zeros(rows, columns), max(rows, columns) // 2 + 1
    for step in range(steps):
        top, left = min(step, (rows - 1) // 2), min(step, (columns - 1) // 2)
        total[top : rows - top, left : columns - left] += 1 / (steps - step) ** 2
    return total


def _signs(shape: tuple[int, ...], like: Tensor) -> Tensor:
    return (torch.randint(0, 2, shape, device=like.device) * 2 - 1).to(like.dtype)
