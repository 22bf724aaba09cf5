"""The baselines train on what they say, and otherwise as the learned noise does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sfumato.obfuscation import baselines, rounds
from sfumato.obfuscation.plan import Job
from tests.obfuscation import tiny

Trained = dict[str, Any]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    work = Job.of(tiny.plan(), tiny.linear, *tiny.records(), tmp_path)
    rounds.clean_only(work, 0.2, 0)
    return work


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Trained:
    """What the training of a baseline was given."""
    given: Trained = {}

    def watched(work: Job, model: Any, values: Tensor, released: Tensor, *rest: Any) -> None:
        given.update(values=values, released=released, screening=rest[0])
        given["start"] = {name: value.clone() for name, value in model.state_dict().items()}
        rounds.resume(work, model, values, released, *rest)

    monkeypatch.setattr(baselines, "resume", watched)
    return given


ROUNDS: dict[str, Callable[..., dict[str, float]]] = {
    "isotropic": baselines.isotropic_round,
    "class mean": baselines.class_mean_round,
}


@pytest.mark.parametrize("name", ROUNDS)
def test_the_same_clean_part_start_and_learner(job: Job, trained: Trained, name: str) -> None:
    found = ROUNDS[name](job, 0.2, 0.5, 0)
    assert 0 <= found["accuracy"] <= 1
    clean, inputs = rounds.clean_part(job, 0.2, 0), job.records()[0]
    assert sorted(clean.tolist()) == (~trained["released"]).nonzero().flatten().tolist()
    assert torch.equal(trained["values"][clean], inputs[clean])
    assert trained["screening"] is None
    start = rounds.clean_model(job, 0.2, 0).state_dict()
    assert all(torch.equal(trained["start"][key], start[key]) for key in start)


@pytest.mark.parametrize("sigma", [0.3, 2.0])
def test_isotropic_releases(job: Job, trained: Trained, sigma: float) -> None:
    baselines.isotropic_round(job, 0.2, sigma, 0)
    noise = (trained["values"] - job.records()[0])[trained["released"]]
    assert float(noise.std()) == pytest.approx(sigma, rel=0.05)


def test_class_mean_releases_are_means_of_the_clean_part(job: Job, trained: Trained) -> None:
    baselines.class_mean_round(job, 0.2, 0.01, 0)
    inputs, labels = job.records()
    clean, rest = rounds.clean_part(job, 0.2, 0), trained["released"].nonzero().flatten()
    for c in range(tiny.CLASSES):
        mean = inputs[clean[labels[clean] == c]].mean(0)
        shown = trained["values"][rest[labels[rest] == c]]
        assert float((shown - mean).abs().max()) < 0.06  # six times sigma


def test_an_absent_class_is_shown_the_mean_of_all(job: Job) -> None:
    labels = job.train[1].copy()
    labels[labels == 3] = 2
    without = Job(job.plan, job.model, (job.train[0], labels), job.test, 4, job.folder)
    part = rounds.clean_part(without, 0.2, 0)
    obfuscator = baselines.mean_obfuscator(without, 0.2, 0.5, 0)
    shown = obfuscator.distribution(torch.zeros(1, 1, 8, 8), torch.tensor([3])).mean
    torch.testing.assert_close(shown[0], job.records()[0][part].mean(0))


def test_the_ceiling_sees_every_record_clean(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(baselines, "resume", lambda *args: seen.extend(args))
    rounds.clean_only(job, job.plan.fractions[0], 0)
    baselines.ceiling(job, 0)
    assert torch.equal(seen[2], job.records()[0])
    assert seen[4] is None


def test_leaks(job: Job) -> None:
    quiet, loud = (baselines.isotropic_leak(job, sigma, 0)["leak"] for sigma in (0.2, 3.0))
    assert quiet > 0.5 > 0.2 > loud
    assert abs(baselines.class_mean_leak(job, 0.2, 0.5, 0)["leak"]) < 0.05
