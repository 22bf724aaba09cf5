"""Incremental training: a whole run of two rounds and two seeds, in seconds."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import sfumato as sf
from sfumato.errors import SettingError
from sfumato.report.obfuscation.schema import validate
from sfumato.train import Recipe
from tests.obfuscation import tiny

FEW: dict[str, Any] = {"fractions": (0.2,), "seeds": (0,), "baselines": False}


def run(out: Path, model: Any = tiny.linear, workers: int = 1, **changes: Any) -> dict[str, Any]:
    train, test = tiny.records()
    return sf.incremental(
        model, train, test=test, plan=tiny.plan(**changes), out=out, workers=workers
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """A run with everything, shared: results and folder."""
    out = tmp_path_factory.mktemp("whole")
    return run(out), out


def figures(value: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Everything that is measured, by where it stands."""
    if isinstance(value, dict) and value.keys() == {"mean", "std", "n"}:
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from figures(item, f"{path}.{key}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from figures(item, f"{path}[{number}]")


def release(out: Path, fraction: float, seed: int = 0) -> Path:
    return out / "state" / f"round-{fraction:g}" / f"seed-{seed}" / "release.safetensors"


def test_the_schema_holds(whole: tuple[dict[str, Any], Path]) -> None:
    results, out = whole
    validate(results)
    written = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert written == results
    assert results["command"] == "train"
    assert results["data"] == {
        "name": "tiny", "train": 120, "test": 60, "shape": [1, 8, 8], "classes": list("0123"),
    }  # fmt: skip
    assert results["config"]["model"] == "tests.obfuscation.tiny:linear"


def test_every_figure_is_over_both_seeds(whole: tuple[dict[str, Any], Path]) -> None:
    found = dict(figures(whole[0]))
    # The ceiling, two rounds of ten, two baselines of two at each of two scales and rounds.
    assert len(found) >= 1 + 2 * 9 + 2 * 2 * 2 + 2
    for where, entry in found.items():
        assert entry["n"] == 2 and entry["std"] >= 0 and math.isfinite(entry["mean"]), where
        if "leak" in where:
            assert entry["mean"] <= 1, where
        elif "steps" not in where:
            assert 0 <= entry["mean"] <= 1, where


def test_rounds_and_baselines(whole: tuple[dict[str, Any], Path]) -> None:
    results = whole[0]
    assert [entry["fraction"] for entry in results["rounds"]] == [0.2, 0.4]
    assert [entry["releases"] for entry in results["rounds"]] == [1, 1]
    at = [(entry["fraction"], entry["sigma"]) for entry in results["baselines"]["isotropic"]]
    assert at == [(0.2, 0.5), (0.2, 2.0), (0.4, 0.5), (0.4, 2.0)]
    loud, quiet = (results["baselines"]["isotropic"][n]["leak"]["mean"] for n in (1, 0))
    assert loud < quiet - 0.1
    assert abs(results["baselines"]["class_mean"]["leak"]["mean"]) < 0.05
    assert results["verdict"]


def test_a_record_keeps_its_release(whole: tuple[dict[str, Any], Path]) -> None:
    out = whole[1]
    assert release(out, 0.2).exists() and not release(out, 0.4).exists()
    kept = load_file(release(out, 0.2))
    assert len(kept["index"]) == 96 and kept["values"].shape == (96, 1, 8, 8)
    train = tiny.records()[0]
    noise = kept["values"] - train.inputs[kept["index"]]
    assert not torch.isclose(noise, torch.zeros_like(noise), atol=1e-4).flatten(1).any(1).all()


def test_the_second_round_changes_no_release(tmp_path: Path) -> None:
    run(tmp_path, **{**FEW, "fractions": (0.2, 0.4), "target": 1e-6})
    before = release(tmp_path, 0.2).read_bytes()
    results = run(tmp_path, **{**FEW, "fractions": (0.2, 0.4)})
    assert len(results["rounds"]) == 2
    assert release(tmp_path, 0.2).read_bytes() == before
    assert not release(tmp_path, 0.4).exists()


def test_releasing_again_counts_and_leaks_more(tmp_path: Path) -> None:
    results = run(tmp_path, **{**FEW, "fractions": (0.2, 0.4), "rerelease": True})
    first, second = results["rounds"]
    assert (first["releases"], second["releases"]) == (1, 2)
    assert second["leak"]["mean"] > first["leak"]["mean"] + 0.02
    values = [load_file(release(tmp_path, fraction)) for fraction in (0.2, 0.4)]
    assert len(values[0]["index"]) == 96 and len(values[1]["index"]) == 72
    again = torch.isin(values[0]["index"], values[1]["index"])
    assert not torch.equal(values[0]["values"][again], values[1]["values"])


def test_it_stops_at_the_target(tmp_path: Path) -> None:
    results = run(tmp_path, **{**FEW, "fractions": (0.2, 0.4), "target": 0.01})
    assert len(results["rounds"]) == 1
    validate(results)


def test_the_same_seeds_give_the_same_results(
    whole: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    # In two processes, which only change where a cell is computed.
    again = run(tmp_path, workers=2)
    assert tiny.settled(again) == tiny.settled(whole[0])
    assert release(tmp_path, 0.2, 1).read_bytes() == release(whole[1], 0.2, 1).read_bytes()


def test_a_finished_run_is_read_and_not_run(
    whole: tuple[dict[str, Any], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("something was trained")

    results, out = whole
    monkeypatch.setattr("sfumato.obfuscation.rounds.train_classifier", never)
    monkeypatch.setattr("sfumato.obfuscation.rounds.measure_leak", never)
    assert tiny.settled(run(out)) == tiny.settled(results)


def test_a_run_may_grow_by_a_seed(tmp_path: Path) -> None:
    one = run(tmp_path, **FEW)
    two = run(tmp_path, **{**FEW, "seeds": (0, 1)})
    cells = "clean-0.2", "round-0.2", "ceiling"
    assert all((tmp_path / "cells" / cell / "seed-1.json").exists() for cell in cells)
    assert two["ceiling"]["n"] == 2 and one["ceiling"]["n"] == 1
    validate(two)


@pytest.mark.parametrize(
    "change",
    [{"knob": 0.2}, {"fractions": (0.3,)}, {"learner": Recipe(epochs=1)}, {"sigma": 0.9}],
    ids=str,
)
def test_another_plan_in_the_same_folder(
    whole: tuple[dict[str, Any], Path], change: dict[str, Any]
) -> None:
    with pytest.raises(SettingError, match="holds a run with other data or settings"):
        run(whole[1], **change)


def test_other_models_in_the_same_folder(whole: tuple[dict[str, Any], Path]) -> None:
    for model in (partial(tiny.linear), sf.train.small_cnn, tiny.linear((1, 8, 8), 4)):
        with pytest.raises(SettingError, match="holds a run with other data or settings"):
            run(whole[1], model)


def test_other_records_in_the_same_folder(whole: tuple[dict[str, Any], Path]) -> None:
    train, test = tiny.records()
    fewer = train.subset(range(110))
    with pytest.raises(SettingError, match="holds a run with other data or settings"):
        sf.incremental(tiny.linear, fewer, test=test, plan=tiny.PLAN, out=whole[1])


class Factory:
    """A factory that is an object."""

    def __call__(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        return tiny.linear(shape, classes)


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (partial(tiny.linear), "tests.obfuscation.tiny:linear()"),
        (Factory(), "tests.obfuscation.test_incremental:Factory"),
        (lambda shape, classes: tiny.linear(shape, classes), "<lambda>"),
        (tiny.linear((1, 8, 8), 4), "Linear(in_features=64"),
    ],
    ids=["partial", "object", "lambda", "network"],
)
def test_models_of_every_kind(tmp_path: Path, model: Any, named: str) -> None:
    before = copy.deepcopy(model)
    results = run(tmp_path, model, **FEW)
    assert named in results["config"]["model"]
    if isinstance(model, nn.Module):
        states = model.state_dict(), before.state_dict()
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert results["baselines"] == {"isotropic": [], "few": [], "class_mean": None}


def test_all_records_clean(tmp_path: Path) -> None:
    results = run(tmp_path, **{**FEW, "fractions": (1.0,)})
    assert len(load_file(release(tmp_path, 1.0))["index"]) == 0
    validate(results)


def test_vectors(tmp_path: Path) -> None:
    train, test = (
        sf.data.Records(data.inputs.flatten(1), data.labels, data.classes, "flat")
        for data in tiny.records()
    )
    plan = tiny.plan(**FEW, kind="additive", bound=(0.0, 1.0), objective="max_entropy")
    results = sf.incremental(sf.train.small_cnn, train, test=test, plan=plan, out=tmp_path)
    validate(results)
    assert results["data"]["shape"] == [64]


def test_what_lies_in_the_folder(whole: tuple[dict[str, Any], Path]) -> None:
    out = whole[1]
    names = {path.name for path in out.iterdir()}
    assert names == {
        "run.json", "results.json", "cells", "state", "progress", "pictures.safetensors",
        "obfuscator",
    }  # fmt: skip
    assert sf.Obfuscator.load(out / "obfuscator", unaudited_ok=True).num_classes == tiny.CLASSES
    shown = load_file(out / "pictures.safetensors")
    assert shown.keys() >= {"original", "release", "location", "scale", "reconstruction", "labels"}
    assert shown["original"].shape == (10, 1, 8, 8)
    assert sorted(shown["labels"].unique().tolist()) == [0, 1, 2, 3]
    assert not list(out.rglob("*.part"))
    assert not list((out / "state" / "checkpoints").iterdir())


def test_progress_is_kept_in_files(whole: tuple[dict[str, Any], Path]) -> None:
    events = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in (whole[1] / "progress").glob("*.json")
    ]
    assert {event["cell"].split("/")[0] for event in events} >= {"clean-0.2", "round-0.4"}
    assert all({"cell", "phase", "epoch", "epochs"} <= event.keys() for event in events)


def test_a_round_can_be_read_while_the_next_one_runs(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []

    def on_done(name: str, _: Any) -> None:
        path = tmp_path / "results.json"
        if name.startswith("round-0.4"):
            seen.append(json.loads(path.read_text(encoding="utf-8")))

    train, test = tiny.records()
    plan = tiny.plan(**{**FEW, "fractions": (0.2, 0.4)})
    sf.incremental(tiny.linear, train, test=test, plan=plan, out=tmp_path, on_done=on_done)
    assert len(seen) == 1 and len(seen[0]["rounds"]) == 1
    validate(seen[0])
