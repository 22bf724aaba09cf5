"""`sfumato pixels train`: from data to a kept selector and a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from sfumato.cli import main
from sfumato.cli.pixels import cell
from sfumato.cli.pixels.kept import entries, load_kept
from sfumato.files import read_json
from sfumato.pixels.predictors import UNet
from sfumato.pixels.selectors import ExpectedError
from sfumato.report.pixels.page import validate_pixels
from tests.cli.pixels.folders import rooms, streets
from tests.disk import nearly_full
from tests.pixels.scenes.folders import write_folder
from tests.report.reading import Page

FEW = ["--steps", "2", "--batch_size", "2", "--limit", "8"]


def train(*words: str) -> int:
    return main(["pixels", "train", *FEW, *words])


def test_digits(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    assert train("--seeds", "2", "--k", "5", "--out", "run") == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-2] == "report: run/report.html"
    assert "sfumato pixels suggest --run run" in out[-1]
    results = read_json(here / "run/results.json")
    validate_pixels(results)
    assert [(c["contender"], c["seed"]) for c in results["cells"]] == [
        (name, seed) for name in ("expected-error", "random", "grid") for seed in (0, 1)
    ]
    assert {c["evaluation"]["pixels"]["maximum"] for c in results["cells"]} == {5}
    assert results["data"]["size"] == [8, 8]
    assert results["verdict"][0] in out
    pictures = load_file(here / "run/pictures.safetensors")
    assert pictures["mask/grid"].shape == (6, 1, 8, 8)
    assert pictures["mask/expected-error"].flatten(1).sum(1).tolist() == [5] * 6
    kept = load_kept(here / "run" / entries(here / "run")[0]["folder"])
    assert isinstance(kept.selector, ExpectedError) and isinstance(kept.predictor, UNet)
    page = Page((here / "run/report.html").read_text())
    assert {"Scores", "Is it worth it?"} <= set(page.headings)
    assert len(page.images) == 8 * 6  # picture, truth, and two rows for each of three
    assert all(image.startswith("data:image/png") for image in page.images)


@pytest.mark.parametrize(("learning", "stage"), [("gains", "both"), ("gradient", "together")])
def test_how_the_selector_learns(learning: str, stage: str, here: Path) -> None:
    words = ["--seeds", "1", "--beside", "grid", "--steps", "4", "--learning", learning]
    assert train("--selector", "stratified", *words, "--out", "run") == 0
    cell_file = next((here / "run/cells/stratified").rglob("*.json"))
    assert read_json(cell_file)["stage"] == stage


def test_prices_and_their_curve(here: Path) -> None:
    words = ["--selector", "gumbel", "--weight", "0", "50", "--literal", "--k", "5"]
    assert train(*words, "--beside", "grid", "--seeds", "1", "--out", "run") == 0
    results = read_json(here / "run/results.json")
    own = [c for c in results["cells"] if c["contender"] == "gumbel"]
    assert [c["weight"] for c in own] == [0.0, 50.0]
    assert all(c["held"]["pixels"]["minimum"] == c["held"]["pixels"]["maximum"] == 5 for c in own)
    assert sum("a price holds no budget" in one for one in results["verdict"]) == 2
    html = (here / "run/report.html").read_text()
    assert "Error against λ" in Page(html).headings
    assert "pixels bought per picture" in html
    chosen = entries(here / "run")[0]["weight"]
    bought = {c["weight"]: abs(c["evaluation"]["pixels"]["mean"] - 5) for c in own}
    assert len(set(bought.values())) == 1 or chosen in bought


def test_a_segmentation_with_void_pixels_and_rounds(here: Path) -> None:
    data = streets(here / "streets")
    words = ["--data", data, "--selector", "uncertainty", "--predictor", "kernel", "--share", "0.1"]
    assert train(*words, "--rounds", "0.5", "0.5", "--seeds", "1", "--out", "run") == 0
    results = read_json(here / "run/results.json")
    assert results["task"]["classes"] == 3
    assert results["headline"] == "miou"
    assert results["budgets"] == [10]
    assert results["data"]["valid"] == pytest.approx(95 / 96)
    assert load_kept(here / "run" / entries(here / "run")[0]["folder"]).rounds == (0.5, 0.5)
    assert "grey where nothing is known" in (here / "run/report.html").read_text()


def test_depth_and_what_a_task_can_be_forced_to(here: Path) -> None:
    data = rooms(here / "rooms")
    few = ["--data", data, "--seeds", "1", "--selector", "jittered", "--predictor", "kernel"]
    assert train(*few, "--size", "4x6", "--k", "6", "--out", "run") == 0
    results = read_json(here / "run/results.json")
    assert (results["task"]["task"], results["unit"]) == ("depth", "m")
    assert results["data"]["size"] == [4, 6]
    assert train(*few, "--task", "inpainting", "--beside", "grid", "--out", "other") == 0
    assert read_json(here / "other/results.json")["task"]["task"] == "regression"


def test_it_resumes_to_the_same_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    words = ["--seeds", "1", "--beside", "grid", "--predictor", "kernel"]
    assert train(*words, "--out", "whole") == 0
    real = cell.reporter

    def stopping(out: Path, name: str) -> Any:
        report = real(out, name)

        def stop(event: dict[str, Any]) -> None:
            report(event)
            if name.startswith("grid"):
                raise KeyboardInterrupt

        return stop

    monkeypatch.setattr(cell, "reporter", stopping)
    assert train(*words, "--out", "run") == 130
    assert "sfumato pixels train" in capsys.readouterr().err
    assert len(list((here / "run/cells").rglob("*.json"))) == 1
    monkeypatch.setattr(cell, "reporter", real)
    assert train(*words, "--out", "run") == 0
    assert "1 of 2 done  grid" in capsys.readouterr().out  # the other was finished before
    one, two = (read_json(here / run / "results.json") for run in ("whole", "run"))
    figures = [[c["evaluation"]["figures"] for c in found["cells"]] for found in (one, two)]
    assert figures[0] == figures[1]
    assert train(*words, "--out", "run", "--k", "3") == 2
    assert "holds a run with other settings (k None -> 3)" in capsys.readouterr().err


def test_a_full_disk(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    with nearly_full(20_000):
        code = train("--seeds", "1", "--beside", "grid", "--out", "run")
    assert code == 2
    said = capsys.readouterr().err
    assert "disk full while writing" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--k", "64"], "--k must be from 1 to 63"),
        (["--k", "3", "--share", "0.1"], "--k or --share, not both"),
        (["--share", "1.5"], "--share lies between 0 and 1"),
        (["--weight", "1"], "expected-error buys exactly k"),
        (["--literal"], "--literal is for what learns by the gradient"),
        (["--literal", "--selector", "stratified"], "--literal is for what learns by the gradient"),
        (["--selector", "best"], "--selector: Expected one of"),
        (["--beside", "luck"], "--beside luck is unknown"),
        (["--rounds", "2.5"], "--rounds is a number of rounds"),
        (["--size", "48"], "--size is a height and a width, such as 48x64"),
        (["--size", "6x6"], "digits are 8x8"),
        (["--task", "depth"], "digits are for inpainting"),
        (["--data", "no/such"], "no/such"),
        (["--data", "flat"], "every known pixel of flat is of class 1"),
        (["--data", "streets", "--task", "depth"], "no column for depth"),
        (["--data", "streets", "--column", "maps"], "has no column 'maps'"),
        (["--data", "streets", "--task", "depth", "--classes", "3"], "is for a segmentation"),
        (["--seeds", "0"], "--seeds must be at least 1"),
        (["--lr", "0"], "--lr must be above 0"),
    ],
)
def test_what_cannot_be_trained(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    if "streets" in words:
        streets(here / "streets")
    if "flat" in words:
        flat(here / "flat")
    capsys.readouterr()
    assert main(["pixels", "train", *words, "--out", "run"]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1
    assert not (here / "run").exists()


def flat(folder: Path) -> None:
    """Data of one class."""
    maps = [np.ones((8, 12), np.uint8)] * 4
    columns = {"image": [np.zeros((8, 12, 3), np.uint8)] * 4, "annotation": maps}
    write_folder(folder, {"train": columns, "test": columns})
