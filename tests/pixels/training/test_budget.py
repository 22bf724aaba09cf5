"""Budgets, and how they are split over rounds."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato.errors import SettingError
from sfumato.pixels.training import split_rounds
from sfumato.pixels.training.budget import Budget, check_budget, draw_budget


@given(st.integers(1, 500), st.lists(st.floats(0.01, 1.0), min_size=1, max_size=8))
def test_rounds_add_up_and_none_is_empty(k: int, shares: list[float]) -> None:
    if len(shares) > k:
        with pytest.raises(SettingError):
            split_rounds(k, shares)
        return
    found = split_rounds(k, shares)
    assert sum(found) == k and min(found) >= 1 and len(found) == len(shares)


@pytest.mark.parametrize(
    ("k", "rounds", "found"),
    [(7, 1, [7]), (7, 3, [3, 2, 2]), (48, (0.5, 0.25, 0.25), [24, 12, 12]), (3, 3, [1, 1, 1])],
)
def test_shares(k: int, rounds: int | Sequence[float], found: list[int]) -> None:
    assert split_rounds(k, rounds) == found


@pytest.mark.parametrize("rounds", [0, -1, 4, (), (1.0, 0.0), (1.0, -1.0)])
def test_rounds_that_cannot_be(rounds: int | Sequence[float]) -> None:
    with pytest.raises(SettingError, match="cannot be bought"):
        split_rounds(3, rounds)


@pytest.mark.parametrize("budget", [0, 64, (0, 3), (5, 4), (3, 64)])
def test_budgets_that_cannot_be(budget: Budget) -> None:
    with pytest.raises(SettingError, match="budget"):
        check_budget(budget, 64)


def test_a_mixed_budget_stays_within_its_ends_and_reaches_them() -> None:
    drawn = [draw_budget(2, 8) for _ in range(400)]
    # P(2) = P(the exponent is within log(2.5/2) of the lower end) = 0.16: all 400 miss it with
    # probability 1e-30.
    assert min(drawn) == 2 and max(drawn) == 8
    assert sum(each <= 4 for each in drawn) > 200
    assert draw_budget(5, 5) == 5
