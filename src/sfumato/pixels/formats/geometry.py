"""Where pixels are: centres, percentages, and a coarser grid laid over a picture.

A pixel (row, column) is the square from `column` to `column + 1` and from `row` to `row + 1`, as
in CVAT and in Label Studio; its centre is at `column + 0.5`, `row + 0.5`. Files hold centres. What
is read back belongs to the square that it lies in, so rounding of up to half a pixel is harmless.

A selector that works on `h` cells where the picture has `H >= h` pixels asks for the pixel in the
middle of a cell, and an answer for any pixel of the cell counts for the cell. All of this is
done in integers, so that cell → pixel → cell is the identity for every pair of sizes.
"""

from __future__ import annotations

import math

from sfumato.errors import DataError
from sfumato.pixels.formats.model import Picture, place


def pixel_of(cell: int, cells: int, pixels: int) -> int:
    """The pixel in the middle of a cell, along one axis: floor((cell + ½) · pixels / cells)."""
    return (2 * cell + 1) * pixels // (2 * cells)


def cell_of(pixel: int, cells: int, pixels: int) -> int:
    """The cell that holds the centre of a pixel: floor((pixel + ½) · cells / pixels)."""
    return (2 * pixel + 1) * cells // (2 * pixels)


def check_grid(picture: Picture, size: tuple[int, int]) -> None:
    """Make sure that every cell has a pixel of its own.

    Raises:
        DataError: the picture has fewer pixels than the grid.
    """
    if picture.height < size[0] or picture.width < size[1]:
        raise DataError(
            f"picture {picture.name!r} has {picture.height}×{picture.width} pixels, fewer than the "
            f"{size[0]}×{size[1]} that the selector chooses from: use a selector of a smaller "
            "size, or leave the picture out"
        )


def centre(row: int, column: int) -> tuple[float, float]:
    """The centre of a pixel, x and y."""
    return column + 0.5, row + 0.5


def pixel_at(x: float, y: float, picture: Picture) -> tuple[int, int]:
    """Row and column of the pixel that a point lies in; x and y in pixels of the picture.

    Raises:
        DataError: the point is outside of the picture, or no point at all.
    """
    inside = 0 <= x <= picture.width and 0 <= y <= picture.height  # False where one is NaN
    if not inside:
        raise DataError(
            f"a point at {place(picture.name, y, x)} is outside of the picture of "
            f"{picture.height}×{picture.width}: move it back or delete it"
        )
    row, column = math.floor(y), math.floor(x)
    return min(row, picture.height - 1), min(column, picture.width - 1)
