"""When a run stops, what it gives then, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from sfumato.compression import Budget, Row
from sfumato.compression.pruning.row import front
from sfumato.errors import DataError, SettingError
from tests.compression.pruning.runs import RECIPE, TRAIN, VALIDATION, run, trained


def rows(*errors: float) -> list[Row]:
    """Rows of 100, 90, 80 ... multiplications."""
    return [
        Row(n, 100 - 10 * n, 50 - n, 20 - n, error, {"0": 9 - n}, {"0": [n]} if n else {})
        for n, error in enumerate(errors)
    ]


def test_the_front_is_what_no_smaller_network_equals() -> None:
    found = front(rows(0.05, 0.02, 0.04, 0.03, 0.03, 0.20, 0.10))
    assert [row.step for row in found] == [1, 4, 6]


def test_a_size_stops_at_the_first_that_meets_it() -> None:
    budget = Budget(multiplications=80, parameters=49)
    assert [budget.done(rows(*[0.1] * n), 3) for n in (1, 2, 3)] == [False, False, True]
    assert budget.choice(rows(0.1, 0.1, 0.1)) == (2, True)
    assert budget.choice(rows(0.1, 0.1)) == (1, False)


def test_an_error_stops_when_it_stays_beyond() -> None:
    budget, way = Budget(error=0.05), (0.01, 0.06, 0.04, 0.06, 0.07, 0.08)
    assert [budget.done(rows(*way[:n]), 3) for n in range(1, 7)] == [False] * 5 + [True]
    assert budget.choice(rows(*way)) == (2, True)


def test_both_give_the_size_where_the_error_allows_it() -> None:
    budget = Budget(activations=17, error=0.05)
    assert budget.choice(rows(0.01, 0.02, 0.03, 0.04)) == (3, True)
    assert budget.choice(rows(0.01, 0.02, 0.09, 0.09)) == (1, False)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "needs one of multiplications, parameters, activations, error"),
        ({"multiplications": 0}, "multiplications must be at least 1, not 0"),
        ({"activations": float("nan")}, "activations must be at least 1"),
        ({"error": 1.0}, r"in \[0, 1\), not 1"),
        ({"error": -0.1}, r"in \[0, 1\), not -0"),
    ],
)
def test_no_such_budget(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(SettingError, match=reason):
        Budget(**settings)


def test_what_is_met_or_out_of_reach_is_said_before_any_work() -> None:
    # the network: 6-8-6-3, 114 multiplications; with one neuron a layer 6 + 1 + 3
    for budget, reason in (
        (Budget(multiplications=114), "is met already: 114 multiplications, 131 parameters"),
        (Budget(multiplications=9), "cannot be reached.*10 multiplications"),
        (Budget(parameters=14), "cannot be reached.*15 parameters"),
        (Budget(multiplications=114, activations=4), "cannot be reached.*5 activations"),
        (Budget(multiplications=50, error=0.0), "validation error of .* before anything"),
    ):
        with pytest.raises(SettingError, match=reason):
            run(budget=budget)
    assert run(budget=Budget(multiplications=10), steps=1).row.widths == {"1": 1, "4": 1}


def test_an_error_alone_gives_the_smallest_within() -> None:
    pruned = run(budget=Budget(error=0.3), patience=2)
    assert pruned.met and pruned.row.error <= 0.3
    assert all(row.error > 0.3 for row in pruned.rows[pruned.step + 1 :])
    easy = run(budget=Budget(error=0.99), steps=1)
    assert easy.row.widths == {"1": 1, "4": 1} and easy.met


def test_a_size_that_costs_too_much_error_is_not_met() -> None:
    pruned = run(budget=Budget(multiplications=12, error=0.3), steps=0, patience=3)
    assert not pruned.met and pruned.row.error <= 0.3
    assert pruned.row.multiplications > 12


X, Y = TRAIN


@pytest.mark.parametrize(
    ("settings", "error", "reason"),
    [
        ({"train": (X[:0], Y[:0])}, DataError, r"not \[0, 6\]"),
        ({"train": (X, Y[:-1])}, DataError, "120 training records need as many"),
        ({"train": (X, Y.float())}, DataError, "of torch.float32"),
        ({"train": (X, Y - 1)}, DataError, "labels begin at 0"),
        ({"train": (X, torch.ones_like(Y))}, DataError, "are of one class"),
        ({"train": (X / 0, Y)}, DataError, "NaN or infinity"),
        ({"validation": (VALIDATION[0] * torch.nan, VALIDATION[1])}, DataError, "NaN or infinity"),
        ({"validation": (X[:, :5], Y)}, DataError, r"validation records \[5\]"),
        ({"train": (X, Y + 1)}, SettingError, r"logits \[N, 4 or more\], not \[2, 3\]"),
        ({"model": nn.Linear(5, 3)}, SettingError, "does not take records of shape"),
        ({"model": nn.Linear(6, 3), "noisy": False}, SettingError, "no neuron of this network"),
        ({"steps": -1}, SettingError, "steps must be at least 0, not -1"),
        ({"at_once": 0}, SettingError, "at_once must be at least 1, not 0"),
        ({"records": 0}, SettingError, "records must be at least 1, not 0"),
        ({"patience": 0}, SettingError, "patience must be at least 1, not 0"),
    ],
)
def test_what_is_refused(settings: dict[str, Any], error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason):
        run(**settings)


def test_weights_that_are_not_numbers() -> None:
    model = trained()
    model.get_parameter("4.weight").data[0, 0] = torch.nan
    with pytest.raises(DataError, match=r"4\.weight of the network holds NaN"):
        run(model=model, noisy=False)


def test_a_loss_that_blows_up() -> None:
    from dataclasses import replace

    with pytest.raises(DataError, match="lower the learning rate"):
        run(noisy=False, recipe=replace(RECIPE, lr=1e30), steps=9)
