"""A picture cut into exactly n cells of about the same size, for any n up to its pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import final

import torch
from torch import Tensor

from sfumato.errors import SettingError

# Multiples of 1/ρ and 1/ρ², ρ the real root of ρ³ = ρ + 1, fill the unit interval evenly in two
# dimensions: the R2 sequence.
_ROW, _COLUMN = 0.7548776662466927, 0.5698402909980532


@final
@dataclass(frozen=True, eq=False)
class Cells:
    """A partition of H·W pixels into n rectangular cells, in O(H·W) memory.

    Pixels are numbered row by row, and so are cells.

    Attributes:
        of: `[H·W]`, int64: the cell of every pixel.
        centres: `[n]`, int64: the pixel in the middle of every cell.
        away: `[H·W]`: the squared distance from the cell's centre; half a cell's height or width
            counts 1.
        order: `[n]`, int64: the cells in an order of which every beginning is spread over the
            picture.
    """

    of: Tensor
    centres: Tensor
    away: Tensor
    order: Tensor

    def to(self, device: torch.device) -> Cells:
        """The same on another device."""
        if self.of.device == device:
            return self
        return Cells(*(t.to(device) for t in (self.of, self.centres, self.away, self.order)))


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # what is kept must serve a training too
def cells(size: tuple[int, int], n: int) -> Cells:
    """Cut a picture into exactly n cells.

    The rows are cut into about √(n·H/W) bands, and the cells are spread over the bands as evenly
    as can be, so that cells are about square and no cell is empty.

    Args:
        size: height and width.
        n: from 1 to the number of pixels.

    Returns:
        The partition; the last few are kept, so do not write into its tensors.

    Raises:
        SettingError: n is out of range.

    Example:
        >>> cells((4, 6), 6).of.reshape(4, 6)
        tensor([[0, 0, 1, 1, 2, 2],
                [0, 0, 1, 1, 2, 2],
                [3, 3, 4, 4, 5, 5],
                [3, 3, 4, 4, 5, 5]])
        >>> cells((4, 6), 6).centres
        tensor([ 7,  9, 11, 19, 21, 23])
    """
    height, width = size
    if not 1 <= n <= height * width:
        raise SettingError(f"{height} x {width} pixels cannot be cut into {n} cells")
    bands = min(max(round(math.sqrt(n * height / width)), -(-n // width), 1), height, n)
    first = torch.arange(bands + 1) * n // bands  # the first cell of every band
    many = first.diff()
    band = torch.arange(height) * bands // height
    column = torch.arange(width) * many[band, None] // width
    of = first[band, None] + column

    home = torch.repeat_interleave(torch.arange(bands), many)  # the band of every cell
    place = torch.arange(n) - first[home]  # its number in there
    top, bottom = _ends(home, bands, height)
    left, right = _ends(place, many[home], width)
    rows, columns = (top + bottom) // 2, (left + right) // 2
    away = ((torch.arange(height)[:, None] - rows[of]) / ((bottom - top) / 2)[of]) ** 2
    away = away + ((torch.arange(width) - columns[of]) / ((right - left) / 2)[of]) ** 2
    spread = (home.double() * _ROW + place.double() * _COLUMN) % 1
    return Cells(of.flatten(), rows * width + columns, away.flatten(), spread.argsort(stable=True))


def _ends(number: Tensor, many: int | Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Where parts begin and end (exclusive) if `length` is cut into `many` parts."""
    return -(-number * length // many), -(-(number + 1) * length // many)
