"""A partition has exactly n cells of about the same size, for every n."""

from __future__ import annotations

import pytest
import torch

from sfumato.errors import SettingError
from sfumato.pixels.selectors import cells


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (5, 8), (9, 4)])
def test_exactly_n_cells_that_are_not_empty(size: tuple[int, int]) -> None:
    for n in range(1, size[0] * size[1] + 1):
        made = cells(size, n)
        assert made.of.unique().tolist() == list(range(n))
        # Every cell holds its own centre, at no distance; no other pixel is as near.
        assert made.of[made.centres].tolist() == list(range(n))
        assert ((made.away == 0).nonzero()[:, 0] == made.centres.sort().values).all()
        assert made.order.sort().values.tolist() == list(range(n))


def test_cells_are_rectangles() -> None:
    of = cells((11, 13), 17).of.reshape(11, 13)
    for cell in range(17):
        rows, columns = (of == cell).nonzero().T
        area = (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)
        assert int(area) == len(rows)


def test_cells_are_about_alike() -> None:
    for n in (48, 50, 154, 192):
        areas = cells((48, 64), n).of.bincount().double()
        assert areas.min() > 0.6 * areas.mean()
        assert areas.max() < 1.6 * areas.mean()


def test_48_cells_of_camvid_are_squares_of_8() -> None:
    of = cells((48, 64), 48).of.reshape(48, 64)
    rows, columns = torch.arange(48) // 8, torch.arange(64) // 8
    assert torch.equal(of, rows[:, None] * 8 + columns)


def test_every_beginning_of_the_order_is_spread() -> None:
    made = cells((64, 64), 64)  # 8 by 8 cells
    for many in (16, 32):
        first = made.order[:many]
        quarters = (first // 8 // 4) * 2 + first % 8 // 4
        assert quarters.bincount(minlength=4).min() >= many // 4 - 2


@pytest.mark.parametrize("n", [0, 21])
def test_too_few_and_too_many(n: int) -> None:
    with pytest.raises(SettingError, match="cannot be cut"):
        cells((4, 5), n)


def test_a_large_picture_takes_linear_memory() -> None:
    made = cells((1024, 1024), 52_000)
    held = sum(t.numel() for t in (made.of, made.centres, made.away, made.order))
    assert held == 2 * 1024 * 1024 + 2 * 52_000
    assert made.of.bincount().min() >= 9
