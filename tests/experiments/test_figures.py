"""What the trade-off table derives from its cells."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from experiments.tradeoff.figures import collect, frontier, leak_at


def _row(accuracy: float, leak: float) -> dict[str, Any]:
    return {"accuracy": {"mean": accuracy}, "leak": {"mean": leak}}


def test_frontier_keeps_what_no_other_point_beats() -> None:
    rows = [_row(0.9, 0.3), _row(0.8, 0.1), _row(0.85, 0.4), _row(0.95, 0.9)]
    assert frontier(rows) == [(0.8, 0.1), (0.9, 0.3), (0.95, 0.9)]


@pytest.mark.parametrize(
    ("accuracy", "leak"), [(0.8, 0.1), (0.85, 0.2), (0.9, 0.3), (0.79, None), (0.91, None)]
)
def test_leak_between_points_is_interpolated(accuracy: float, leak: float | None) -> None:
    found = leak_at([(0.8, 0.1), (0.9, 0.3)], accuracy)
    assert found is None if leak is None else found == pytest.approx(leak)


def _table(share_known: float) -> dict[str, Any]:
    """Ten attacked records whose class mean misses by 1 each; the attacker misses by 0.2."""
    errors = {"class_mean": [1.0] * 10, "linear": [0.2] * 10, "network": [0.3] * 10}
    attack = {"errors": errors, "attacks": {"linear": {"leak": 0.8}, "network": {"leak": 0.7}}}
    clean = {
        "accuracy": 0.5,
        "on_rest": share_known,
        "margins": list(range(10)),
        "thresholds": {"20": 1.5},
    }
    return {
        "clean/seed-0": clean,
        "full/seed-0": {"accuracy": 0.9},
        "attack/noise/seed-0": attack,
        "training/all/seed-0": {"accuracy": 0.8},
        "training/few/seed-0": {"accuracy": 0.8},
    }


def _points(policy: str) -> list[Any]:
    shared = {"settings": {}, "attack": "noise", "learner": "plain"}
    return [
        SimpleNamespace(method="isotropic", name="all", share=1.0, policy="random", **shared),
        SimpleNamespace(method="few", name="few", share=0.2, policy=policy, **shared),
    ]


@pytest.mark.parametrize("policy", ["hard", "auto"])
def test_records_that_stay_at_home_leak_nothing(policy: str) -> None:
    rows = collect(_table(0.9), _points(policy), [], [0])["training"]
    assert rows[0]["leak"]["mean"] == pytest.approx(0.8)
    assert rows[1]["leak"]["mean"] == pytest.approx(0.2 * 0.8)  # two of ten are released
    assert rows[1]["leak_released"]["mean"] == pytest.approx(0.8)
    assert rows[1]["leak_95"]["mean"] == pytest.approx(0.8)


def test_random_choice_releases_about_its_share() -> None:
    table = _table(0.5)
    errors = table["attack/noise/seed-0"]["errors"]
    table["attack/noise/seed-0"]["errors"] = {k: v * 1000 for k, v in errors.items()}
    row = collect(table, _points("auto"), [], [0])["training"][1]
    deviation = 0.8 * np.sqrt(0.2 * 0.8 / 10_000)
    assert row["leak"]["mean"] == pytest.approx(0.16, abs=5 * deviation)
