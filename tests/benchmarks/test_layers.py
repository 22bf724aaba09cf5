"""The benchmark of the layers, at tiny sizes: everything runs; no time is judged here."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import layers
from sfumato.bench import Setting, compiled, layer_cases, run_layers
from sfumato.bench.case import Absent, Case
from sfumato.bench.layers import slug
from sfumato.bench.measure import FIGURES
from sfumato.bench.step import Step
from sfumato.errors import SettingError

QUICK = Setting(rounds=2, quick=True)
ROWS = (  # of the table that the layers are held against
    "Bayesian Linear 1024->1024, batch 128, train + KL",
    "Bayesian Linear 1024->1024, batch 1, inference",
    "Bayesian Linear 1024->1024, batch 512, train",
    "Bayesian Conv2d 64->64 3x3, 32x32, batch 32, train",
    "stochastic Linear 1024->1024, batch 128, train",
    "stochastic Conv2d 64->64 3x3, 32x32, batch 32, train",
    "stochastic Conv2d 64->64 3x3, 32x32, batch 32, inference on the mean",
    "Bayesian LSTM 128->256, 50 steps, batch 32, train",
    "Bayesian TransformerEncoderLayer 256, 4 heads, 1024, 64 steps, batch 16, train",
    "conditional Conv2d 64->64 3x3, 32x32, batch 32, C = 10, train",
    "conditional Conv2d 16->16 3x3, 32x32, batch 128, C = 10, train",
    "conditional Conv2d 128->128 3x3, 16x16, batch 32, C = 10, train",
    "conditional Conv2d 256->256 3x3, 8x8, batch 32, C = 10, train",
    "conditional stochastic Conv2d 3->3 3x3, 32x32, batch 128, C = 10, train",
    "conditional Linear 1024->1024, batch 128, C = 10, train",
    "soft Conv2d 64->64 3x3, 32x32, batch 32, C = 10, π per channel, train",
    "soft Conv2d 64->64 3x3, 32x32, batch 32, C = 10, π per pixel, train",
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("layers") / "layers.json"
    found = layers.main(["--quick", "--rounds", "2", "--out", str(out)])
    assert json.loads(out.read_text(encoding="utf-8")) == found
    return found


def test_the_keys(results: dict[str, Any]) -> None:
    assert set(results) == {
        "schema", "benchmark", "machine", "versions", "setting", "clock", "copy_gb_per_s",
        "results",
    }  # fmt: skip
    assert (results["schema"], results["benchmark"]) == ("sfumato.bench/1", "layers")
    assert {"cpu", "cores", "load", "python", "torch", "threads", "device"} <= set(
        results["machine"]
    )
    assert {"sfumato", "torch", "torchbnn", "bayesian-torch"} <= set(results["versions"])
    assert results["setting"]["rounds"] == 2
    for row in results["results"]:
        assert set(row) == {
            "case", "train", "baseline", "rounds", "repeats", "load", "reach", "known",
            "candidates", "verdicts",
        }  # fmt: skip
        for cell in row["candidates"]:
            assert set(cell) == {"name", "role", "reason", *FIGURES}
        for verdict in row["verdicts"]:
            assert set(verdict) == {"candidate", "what", "of", "value", "limit", "reached"}


def test_every_row_has_figures(results: dict[str, Any]) -> None:
    assert [row["case"] for row in results["results"]] == [c.name for c in layer_cases(QUICK)]
    for row in results["results"]:
        assert row["candidates"][0]["ratio"] == 1.0
        for cell in row["candidates"]:
            if cell["role"] != "peer":  # a peer may not be installed, all others must run
                assert cell["reason"] is None, (row["case"], cell["name"], cell["reason"])
            if cell["reason"] is None:
                assert cell["ms"] > 0
                assert (cell["saved_mib"] is not None) == row["train"]
                assert cell["bandwidth_share"] > 0


def test_tiny_sizes_are_not_judged(results: dict[str, Any]) -> None:
    verdicts = [verdict for row in results["results"] for verdict in row["verdicts"]]
    assert len(verdicts) > 20
    assert all(verdict["reached"] is None for verdict in verdicts)
    assert all(verdict["value"] is not None for verdict in verdicts)


def test_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    layers.main(["--quick", "--rounds", "1", "--only", "stochastic Linear"])
    printed = capsys.readouterr().out
    assert "stochastic Linear 16->16, batch 4, train  (1 rounds" in printed
    assert "floor nn.Linear of twice the outputs" in printed
    assert "these figures mean nothing" in printed
    assert "not judged" in printed


def test_the_rows_of_the_full_run() -> None:
    names = [case.name for case in layer_cases(Setting())]
    assert set(ROWS) <= set(names)
    assert len({slug(name) for name in names}) == len(names)


def test_a_part_of_the_names_chooses() -> None:
    chosen = layer_cases(Setting(only="LSTM"))
    assert 0 < len(chosen) < 10
    assert all("lstm" in case.name.lower() for case in chosen)
    with pytest.raises(SettingError, match="no case has 'abacus' in its name"):
        layer_cases(Setting(only="abacus"))


@pytest.mark.parametrize("case", layer_cases(QUICK), ids=lambda case: case.name)
def test_a_step_reaches_input_and_all_parameters(case: Case) -> None:
    """A layer that left some parameter without a gradient would look quick."""
    x = case.records()
    for candidate in (c for c in case.candidates if c.role != "peer"):
        step = Step(candidate.make(), x, train=True)
        reached = [gradient is not None for gradient in step.gradients()]
        assert all(reached), candidate.name


def test_a_run_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    some = Setting(rounds=1, quick=True, only="inference on the mean")
    first = run_layers(some, tmp_path)
    kept, gone = sorted(tmp_path.glob("*.json"))
    gone.unlink()
    stamp, done = kept.stat().st_mtime_ns, []
    again = run_layers(
        some, tmp_path, on_plan=done.append, on_done=lambda name, _: done.append(name)
    )
    assert done == [2, gone.stem]
    assert kept.stat().st_mtime_ns == stamp
    assert [row["case"] for row in again["results"]] == [row["case"] for row in first["results"]]


def test_half_precision(tmp_path: Path) -> None:
    half = Setting(rounds=1, quick=True, dtype="bf16", only="stochastic Linear")
    for row in run_layers(half, tmp_path)["results"]:
        assert all(cell["ms"] for cell in row["candidates"] if cell["role"] != "peer")
    assert half.records(2).dtype == half.place(torch.nn.Linear(1, 1)).weight.dtype == torch.bfloat16


def test_steps_under_the_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a backend that needs no compiler: what counts here is that the graph is whole."""
    whole = partial(torch.compile, backend="aot_eager")
    monkeypatch.setattr(torch, "compile", lambda call, **settings: whole(call, **settings))
    monkeypatch.setattr(compiled, "missing", lambda _: None)
    setting = Setting(rounds=1, quick=True, compiled=True, only="compiled: Gaussian")
    rows = run_layers(setting, tmp_path)["results"]
    assert rows
    for row in rows:
        names = [cell["name"] for cell in row["candidates"]]
        assert names == ["Gaussian, eager", "Gaussian, compiled"]
        assert row["candidates"][1]["reason"] is None
        assert row["reach"]["ratio"] == 1.05


def test_without_a_compiler_the_cell_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled.shutil, "which", lambda _: None)
    setting = Setting(quick=True, compiled=True, only="compiled: auto")
    for case in layer_cases(setting):
        with pytest.raises(Absent, match=r"there is no C\+\+ compiler"):
            case.candidates[1].make()
