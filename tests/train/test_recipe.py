"""How long and how fast: steps, epochs, the cosine."""

from __future__ import annotations

import math
from typing import Any

import pytest

from sfumato.errors import SettingError
from sfumato.train import Recipe


@pytest.mark.parametrize(
    ("records", "epochs"),
    [(100, 3), (10, 3), (101, 3), (1, 7)],
    ids=["enough", "one batch", "a last batch of one", "few steps: more epochs"],
)
def test_epochs(records: int, epochs: int) -> None:
    # 100 records are 10 steps an epoch, 10 are 1 step, and 1 record is 1 step as well.
    recipe = Recipe(epochs=3, min_steps=3 if records > 1 else 7, batch_size=10)
    assert recipe.epochs_for(records) == epochs


def test_at_least_min_steps() -> None:
    recipe = Recipe(epochs=1, min_steps=25, batch_size=10)
    for records in range(1, 300, 7):
        steps = recipe.epochs_for(records) * math.ceil(records / 10)
        assert steps >= 25
        assert recipe.epochs_for(records) == 1 or steps - math.ceil(records / 10) < 25


def test_the_rate_falls_along_a_cosine_to_zero() -> None:
    recipe = Recipe(lr=0.2)
    rates = [recipe.rate(step, 8) for step in range(9)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[4] == pytest.approx(0.1)
    assert rates[8] == pytest.approx(0.0, abs=1e-12)
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize(
    "wrong",
    [{"epochs": 0}, {"batch_size": 0}, {"lr": 0.0}, {"lr": -1.0}, {"lr": math.nan}],
    ids=str,
)
def test_errors(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(SettingError, match=f"{name} must be above 0"):
        Recipe(**wrong)
