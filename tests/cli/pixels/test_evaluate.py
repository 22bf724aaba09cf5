"""`sfumato pixels evaluate`: the budget curve, and a kept run on other pictures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from sfumato.cli import main
from sfumato.files import read_json
from tests.cli.pixels.folders import rooms, streets
from tests.pixels.scenes.folders import write_folder
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
    found = [(c["contender"], c["k"]) for c in results["cells"]]
    assert found == [("expected-error", 6), ("grid", 6)]
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
    assert "the run in trained has expected-error, grid" in capsys.readouterr().err
    broken = trained.with_name("broken")
    for name in ("predictor.safetensors", "kept.json", "selector.json"):
        shutil.copytree(trained, broken, dirs_exist_ok=True)
        path = next((broken / "networks/expected-error").rglob(name))
        path.write_bytes(path.read_bytes()[:-30])
        refused("broken", name)
    shutil.copytree(trained, broken, dirs_exist_ok=True)
    (broken / "trained.json").write_text(json.dumps({"schema": "other"}))
    refused("broken", "trained.json does not say what was trained")


def test_no_picture_of_the_training_is_scored(here: Path) -> None:
    """Of a folder with one split the run was trained on the first four fifths."""
    write_folder(here / "one", {"train": _striped(10)})
    assert main(["pixels", "train", *FEW[:-4], "--data", "one", "--k", "6", "--seeds", "1",
                 "--beside", "grid", "--predictor", "kernel", "--out", "trained"]) == 0  # fmt: skip
    assert main(["pixels", "evaluate", "--run", "trained", "--data", "one", "--out", "run"]) == 0
    assert read_json(here / "trained/results.json")["data"]["test"] == 2
    assert read_json(here / "run/results.json")["data"]["test"] == 2


def test_an_inpainting_run_is_scored_on_pictures_whatever_maps_there_are(here: Path) -> None:
    write_folder(here / "both", {"train": _striped(8), "test": _striped(4)})
    few = [*FEW, "--data", "both", "--task", "inpainting", "--k", "6", "--seeds", "1"]
    assert main(["pixels", "train", *few, "--beside", "grid", "--out", "trained"]) == 0
    words = ["pixels", "evaluate", "--run", "trained", "--data", "both", "--limit", "4"]
    assert main([*words, "--out", "run"]) == 0
    scores = [
        [c["evaluation"]["figures"] for c in read_json(here / run / "results.json")["cells"]]
        for run in ("trained", "run")
    ]
    assert scores[0] == scores[1]


def test_budgets_too_small_for_the_rounds_are_told_before_the_work(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pixels", "evaluate", *FEW, "--k", "2", "--seeds", "1", "--out", "run"]) == 2
    assert "2 pixels cannot be bought in rounds of (0.5, 0.25, 0.25)" in capsys.readouterr().err
    assert not (here / "run/cells").exists()


def _striped(count: int) -> dict[str, list[np.ndarray]]:
    """Grey pictures with depths of up to 5 m."""
    draws = np.random.default_rng(4)
    return {
        "image": [draws.integers(0, 255, (8, 12)).astype(np.uint8) for _ in range(count)],
        "depth": [draws.integers(500, 5000, (8, 12)).astype(np.uint16) for _ in range(count)],
    }
