"""`sfumato pixels evaluate`: the budget curve, and a kept run on other pictures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sfumato.cli import main
from sfumato.files import read_json
from tests.cli.pixels.folders import rooms, streets
from tests.report.reading import Page

FEW = ["--steps", "2", "--batch_size", "2", "--limit", "4", "--predictor", "kernel"]


def test_the_budget_curve(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    words = ["pixels", "evaluate", *FEW, "--selectors", "random", "grid", "oracle"]
    words += ["--k", "4", "8", "--seeds", "2", "--out", "run"]
    assert main(words) == 0
    results = read_json(here / "run/results.json")
    assert len(results["cells"]) == 12
    assert results["budgets"] == [4, 8]
    assert [c["contender"] for c in results["cells"] if c["oracle"]] == ["oracle"] * 4
    assert any("the oracle, which sees the labels" in line for line in results["verdict"])
    page = Page((here / "run/report.html").read_text())
    assert "The budget curve" in page.headings
    capsys.readouterr()
    assert main(words) == 0
    assert "of 12 done" not in capsys.readouterr().out  # nothing was done again
    (here / "run/cells/grid/k-4/seed-1.json").write_text("{")
    assert main(words) == 2
    assert "seed-1.json is truncated or damaged" in capsys.readouterr().err


@pytest.fixture
def trained(here: Path) -> Path:
    """A run on class maps of 8x12 pixels."""
    data = ["--data", streets(here / "streets"), "--k", "6", "--seeds", "1", "--beside", "grid"]
    assert main(["pixels", "train", *FEW, *data, "--out", "trained"]) == 0
    return here / "trained"


def test_a_run_on_other_pictures(
    trained: Path, capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    words = ["pixels", "evaluate", "--run", "trained", "--out", "run"]
    streets(here / "others", size=(16, 24))  # brought to the size of the run
    assert main([*words, "--data", "others"]) == 0
    results = read_json(here / "run/results.json")
    assert results["data"]["train"] is None
    assert results["data"]["size"] == [8, 12]
    assert [(c["contender"], c["k"]) for c in results["cells"]] == [("stratified", 6), ("grid", 6)]
    again = ["pixels", "evaluate", "--run", "trained", "--data", "streets", "--limit", "4"]
    assert main([*again, "--out", "same"]) == 0
    scores = [
        [c["evaluation"]["figures"] for c in read_json(here / run / "results.json")["cells"]]
        for run in ("trained", "same")
    ]
    assert scores[0] == scores[1]  # what was kept is what was scored

    rooms(here / "rooms")
    capsys.readouterr()
    assert main(["pixels", "evaluate", "--run", "trained", "--data", "digits"]) == 2
    assert "is for regression, and the run was trained for segmentation" in capsys.readouterr().err
    assert main(["pixels", "evaluate", "--run", "trained", "--data", "rooms"]) == 2
    assert "rooms has no column for segmentation" in capsys.readouterr().err


def test_runs_that_cannot_be_read(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["pixels", "evaluate", "--data", "streets", "--out", "run", "--run"]

    def refused(run: str, message: str) -> None:
        assert main([*words, run]) == 2
        said = capsys.readouterr().err
        assert message in said
        assert len(said.splitlines()) == 1

    refused("nowhere", "--run nowhere is not there")
    refused("streets", "streets holds no trained selector")
    assert main([*words, "trained", "--selectors", "edges"]) == 2
    assert "the run in trained has stratified, grid" in capsys.readouterr().err
    broken = trained.with_name("broken")
    for name in ("predictor.safetensors", "kept.json", "selector.json"):
        shutil.copytree(trained, broken, dirs_exist_ok=True)
        path = next((broken / "networks/stratified").rglob(name))
        path.write_bytes(path.read_bytes()[:-30])
        refused("broken", name)
    shutil.copytree(trained, broken, dirs_exist_ok=True)
    (broken / "trained.json").write_text(json.dumps({"schema": "other"}))
    refused("broken", "trained.json does not say what was trained")
