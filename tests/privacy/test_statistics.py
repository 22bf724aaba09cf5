from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from sfumato.errors import DataError
from sfumato.privacy.statistics import Figure, leak_error, share_error, student


def test_mean_and_deviation() -> None:
    found = Figure.of([0.1, 0.2, 0.6])
    assert found.mean == pytest.approx(0.3)
    assert found.std == pytest.approx(math.sqrt(0.07))
    assert found.n == 3


@pytest.mark.parametrize("freedom", [1, 2, 5, 24])
def test_student(freedom: int) -> None:
    assert student(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), abs=1e-3)
    assert student(1000) == pytest.approx(stats.norm.ppf(0.975))


def test_the_interval_of_seeds_is_students() -> None:
    values = [0.31, 0.35, 0.33, 0.30]
    low, high = stats.t.interval(0.95, 3, loc=0.3225, scale=stats.sem(values))
    found = Figure.of(values)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)


def test_the_interval_of_one_seed_is_that_of_its_records() -> None:
    found = Figure.of([0.5], [0.1])
    assert found.high - found.mean == pytest.approx(0.196, abs=1e-3)
    alone = Figure.of([0.5])
    assert alone.low == alone.high == 0.5


def test_seeds_that_vary_no_more_than_records_do_add_nothing() -> None:
    same = Figure.of([0.5, 0.52, 0.48], [0.1] * 3)
    assert same.high - same.mean == pytest.approx(0.196, abs=1e-3)
    more = Figure.of([0.1, 0.5, 0.9], [0.1] * 3)
    beyond = student(2) * math.sqrt((0.16 - 0.01) / 3)
    assert more.high - more.mean == pytest.approx(math.hypot(0.196, beyond), abs=1e-3)


def test_a_share_stays_in_its_range() -> None:
    found = Figure.of([0.99], [0.1], share=True)
    assert (found.low, found.high) == (pytest.approx(0.794, abs=1e-3), 1.0)


def test_intervals_of_a_share_hold_it() -> None:
    """Of 2,000 samples of 100 at p = 0.3 at least 93 % do; 95 % expected, false alarm 5e-5."""
    generator = torch.Generator().manual_seed(0)
    draws = (torch.rand(2000, 100, generator=generator) < 0.3).double().mean(1).tolist()
    figures = [Figure.of([p], [share_error(p, 100)], share=True) for p in draws]
    held = sum(f.low <= 0.3 <= f.high for f in figures) / len(figures)
    assert 0.93 < held < 0.975


def test_no_share_is_certain() -> None:
    assert 0 < share_error(1.0, 100) < 0.01
    assert share_error(0.5, 100) == pytest.approx(0.05)


def test_the_error_of_a_leak_is_that_of_resampling() -> None:
    """Against 4,000 bootstrap resamples, to 10 % (their own error is 1.1 %)."""
    generator = torch.Generator().manual_seed(0)
    base = torch.rand(300, generator=generator) + 0.5
    error = base * torch.rand(300, generator=generator)
    pick = torch.randint(300, (4000, 300), generator=generator)
    leaks = 1 - error[pick].sum(1) / base[pick].sum(1)
    assert leak_error(error, base) == pytest.approx(float(leaks.std()), rel=0.1)
    assert leak_error(error[:1], base[:1]) == 0


@pytest.mark.parametrize("values", [[], [math.nan]])
def test_nothing_is_no_figure(values: list[float]) -> None:
    with pytest.raises(DataError, match="values that are numbers"):
        Figure.of(values)


def test_in_words() -> None:
    assert str(Figure(0.25, 0.0, 1, 0.2, 0.3)) == "0.250 [0.200, 0.300]"
