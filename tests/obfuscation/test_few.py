"""Releasing few records: the chosen ones alone, as many steps, and leaks of all and of those."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sfumato.obfuscation import few, rounds
from sfumato.obfuscation.figures import verdict
from sfumato.obfuscation.plan import Job
from sfumato.train import Recipe
from tests.obfuscation import tiny


@pytest.fixture
def job(tmp_path: Path) -> Job:
    work = Job.of(tiny.plan(), tiny.linear, *tiny.records(), tmp_path)
    rounds.clean_only(work, 0.2, 0)
    return work


def test_the_chosen_records_alone_are_released(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def watched(
        work: Job, model: nn.Module, material: tuple[Tensor, Tensor], released: Tensor, *rest: Any
    ) -> None:
        given.update(material=material, released=released, screening=rest[0], recipe=rest[-1])
        rounds.go_on(work, model, material, released, *rest)

    monkeypatch.setattr(few, "go_on", watched)
    found = few.few_round(job, 0.2, 0.5, 0.25, 0)
    inputs, labels = job.records()
    clean = rounds.clean_part(job, 0.2, 0)
    values, told = given["material"]
    assert 0 <= found["accuracy"] <= 1
    assert given["screening"] is None
    assert torch.equal(values[: len(clean)], inputs[clean])
    assert torch.equal(told[: len(clean)], labels[clean])
    assert int(given["released"].sum()) == round(0.25 * (len(inputs) - len(clean)))
    shown = values[given["released"]]
    assert not any((inputs == one).flatten(1).all(1).any() for one in shown)
    steps = job.plan.learner.epochs_for(len(inputs)) * -(-len(inputs) // 64)
    assert given["recipe"].epochs_for(len(values)) * -(-len(values) // 64) >= steps


def test_a_choice_by_margin_takes_the_hard_ones_of_the_attacked(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(few, "is_known_well", lambda known: True)
    out = torch.tensor(few.few_round(job, 0.2, 0.5, 0.25, 0)["out"], dtype=torch.bool)
    known = few.margins(rounds.clean_model(job, 0.2, 0), *job.test_records(job.plan.attacked))
    assert len(out) == job.plan.attacked
    assert out.any()
    assert not out.all()
    assert known[out].max() <= known[~out].min()


def test_leaks_of_all_and_of_the_released() -> None:
    attacked = {"label_only": [1.0, 3.0, 2.0, 4.0], "missed": [0.5, 1.0, 2.0, 1.0]}
    found = few.few_leaks(attacked, [1, 0, 0, 1])
    assert found["leak"] == pytest.approx((0.5 + 3.0) / 10)
    assert found["leak_released"] == pytest.approx((0.5 + 3.0) / 5)
    assert few.few_leaks(attacked, [0, 0, 0, 0]) == {"leak": 0.0, "leak_released": 0.0}


def test_steps_are_those_of_a_training_on_all_records() -> None:
    recipe = few._as_many_steps(Recipe(epochs=4, min_steps=1, batch_size=10), 100, 25)
    assert recipe.epochs_for(25) * 3 >= 40
    assert (recipe.epochs_for(25) - 1) * 3 < 40


def _results(accuracy: float, leak: float) -> dict[str, Any]:
    def figure(mean: float) -> dict[str, float]:
        return {"mean": mean, "std": 0.01, "n": 3}

    entry = {
        "fraction": 0.05,
        "clean_only": figure(0.9),
        "with_released": figure(0.95),
        "with_released_unscreened": figure(0.95),
        "leak": figure(0.5),
        "constant_image": figure(0.0),
    }
    row = {"fraction": 0.05, "share": 0.1, "sigma": 0.5, "accuracy": figure(accuracy)}
    row |= {"leak": figure(leak), "leak_released": figure(0.6)}
    baselines = {"isotropic": [], "few": [row], "class_mean": None}
    return {"rounds": [entry], "baselines": baselines, "data": {"classes": list("ab")}}


def test_the_verdict_tells_what_few_releases_win_and_cost() -> None:
    said = verdict(_results(0.96, 0.05))
    assert "10 % of the records under isotropic noise of σ = 0.5 train as well" in said[0]
    assert "0.60 each" in said[0]
    assert "exposed more" in said[0]


def test_the_verdict_prefers_few_releases_where_no_record_is_worse_off() -> None:
    results = _results(0.96, 0.05)
    results["rounds"][0]["leak"]["mean"] = 0.7
    assert "Prefer it: no record is worse off" in verdict(results)[0]


@pytest.mark.parametrize(("accuracy", "leak"), [(0.94, 0.05), (0.96, 0.55)])
def test_the_verdict_is_silent_where_they_do_not(accuracy: float, leak: float) -> None:
    assert not any("of the records under" in line for line in verdict(_results(accuracy, leak)))
