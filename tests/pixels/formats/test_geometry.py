"""Cells, pixels and points: every way there leads back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import DataError
from sfumato.pixels.formats import Picture
from sfumato.pixels.formats.geometry import cell_of, centre, check_grid, pixel_at, pixel_of


@pytest.mark.parametrize("cells", [*range(1, 40), 48, 64, 97])
def test_every_cell_comes_back_at_every_size(cells: int) -> None:
    for pixels in [*range(cells, cells + 130), 1021, 4096]:
        seen = [pixel_of(cell, cells, pixels) for cell in range(cells)]
        assert [cell_of(pixel, cells, pixels) for pixel in seen] == list(range(cells))
        assert seen == sorted(set(seen)) and seen[0] >= 0 and seen[-1] < pixels


@given(st.integers(1, 5000), st.data())
def test_a_cell_is_answered_by_the_pixels_it_covers(cells: int, data: st.DataObject) -> None:
    pixels = data.draw(st.integers(cells, 20000))
    pixel = data.draw(st.integers(0, pixels - 1))
    cell = cell_of(pixel, cells, pixels)
    assert cell * pixels <= (pixel + 0.5) * cells < (cell + 1) * pixels
    assert 0 <= cell < cells


def test_without_a_coarser_grid_nothing_moves() -> None:
    assert [pixel_of(cell, 9, 9) for cell in range(9)] == list(range(9))


@given(st.integers(1, 9000), st.integers(1, 9000), st.data())
def test_a_percentage_comes_back(height: int, width: int, data: st.DataObject) -> None:
    picture = Picture("a", height, width)
    row, column = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    x, y = centre(row, column)
    x, y = (100 * x / width) / 100 * width, (100 * y / height) / 100 * height
    assert pixel_at(x, y, picture) == (row, column)


@pytest.mark.parametrize(("x", "y"), [(-0.1, 1), (1, -1), (5.01, 1), (1, 7.5), (float("nan"), 1)])
def test_a_point_outside_is_an_error(x: float, y: float) -> None:
    with pytest.raises(DataError, match="outside of the picture of 7×5"):
        pixel_at(x, y, Picture("a", 7, 5))


def test_the_far_border_belongs_to_the_last_pixel() -> None:
    assert pixel_at(5.0, 7.0, Picture("a", 7, 5)) == (6, 4)


def test_a_picture_must_have_a_pixel_per_cell() -> None:
    check_grid(Picture("a", 4, 6), (4, 6))
    with pytest.raises(DataError, match="'a' has 4×6 pixels, fewer than the 5×6"):
        check_grid(Picture("a", 4, 6), (5, 6))
