"""Intervals, and differences beyond chance."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import binomtest
from torch import Tensor

from sfumato.errors import DataError
from sfumato.robustness import Share
from sfumato.robustness.evaluation.shares import (
    CHANCE,
    chance_of_count,
    chance_of_difference,
)


@pytest.mark.parametrize(("right", "n"), [(0, 5), (3, 10), (10, 10), (499, 500)])
def test_the_interval_is_wilsons(right: int, n: int) -> None:
    found = Share.of(torch.arange(n) < right)
    wanted = binomtest(right, n).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-6)
    assert found.mean == right / n and found.n == n
    assert found.low <= found.mean <= found.high


def test_shares_of_draws_count_too() -> None:
    assert Share.of(torch.tensor([0.25, 0.75])).mean == 0.5
    assert str(Share(0.5, 0.4, 0.6, 100)) == "50.0 % [40.0, 60.0]"
    with pytest.raises(DataError, match="at least one record"):
        Share.of(torch.zeros(0))


def beyond_chance(better: Tensor, worse: Tensor) -> bool:
    return chance_of_difference(better, worse) <= CHANCE


def test_beyond_chance() -> None:
    ones = torch.ones(500)
    for fewer, beyond in ((0, False), (3, False), (15, True), (250, True)):
        other = ones.clone()
        other[:fewer] = 0
        assert beyond_chance(ones, other) is beyond
        assert not beyond_chance(other, ones)


def test_chance_is_not_beyond_chance() -> None:
    """Of 2,000 pairs of equal attacks: at one in 740, over 15 has a probability of 1e-7."""
    generator = torch.Generator().manual_seed(0)
    pairs = torch.rand(2000, 2, 300, generator=generator).round()
    assert sum(beyond_chance(one, other) for one, other in pairs) <= 15


@pytest.mark.parametrize(("fell", "rose"), [(4, 0), (5, 1), (9, 0), (10, 0), (12, 2)])
def test_a_handful_is_counted(fell: int, rose: int) -> None:
    """The normal law held four of four for a chance of one in 740; it is one in 16."""
    better = torch.tensor([1.0] * fell + [0.0] * rose)
    exact = binomtest(fell, fell + rose, alternative="greater").pvalue
    found = chance_of_difference(better, 1 - better)
    assert found >= exact - 1e-12
    assert beyond_chance(better, 1 - better) is bool(exact <= CHANCE)


@pytest.mark.parametrize(
    ("count", "n", "share"),
    [
        (0, 5, 0.1), (1, 5, 0.1), (7, 128, 0.01), (300, 2000, 0.1), (1100, 10_000, 0.1),
    ],
)  # fmt: skip
def test_the_chance_of_a_count(count: int, n: int, share: float) -> None:
    wanted = binomtest(count, n, share, alternative="greater").pvalue
    assert chance_of_count(count, n, share) == pytest.approx(wanted, abs=1e-12)
