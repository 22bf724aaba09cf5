"""`sfumato pixels suggest` and `ingest`: questions out, answers in, and on."""

from __future__ import annotations

import csv
import shlex
from pathlib import Path

import pytest

from sfumato.cli import main
from sfumato.files import read_json
from sfumato.pixels.rounds import Rounds
from sfumato.report.pixels.rounds.page import validate_rounds
from tests.cli.pixels.folders import pictures, streets
from tests.report.reading import Page

CLASSES = ["--classes", "sky", "road", "car"]


def fill(folder: Path, labels: list[str], leave: int = 0) -> Path:
    """An answered copy of a round's table, `leave` of its lines open."""
    with (folder / "table.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for at, row in enumerate(rows[: len(rows) - leave]):
        row[list(row)[-1]] = labels[at % len(labels)]
    path = folder.parent / f"filled-{leave}.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def ingest(path: Path, *words: str) -> int:
    return main(["pixels", "ingest", "--rounds", "asked", "--answers", str(path), *words])


def test_a_trained_run_asks_round_after_round(
    capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    few = ["--steps", "2", "--batch_size", "2", "--beside", "grid", "--predictor", "kernel"]
    words = ["--data", streets(here / "streets"), "--selector", "uncertainty", "--k", "8"]
    assert main(["pixels", "train", *few, *words, "--seeds", "1", "--out", "run"]) == 0
    pictures(here / "pictures")
    capsys.readouterr()
    suggest = ["pixels", "suggest", "--run", "run", "--pictures", "pictures", "--out", "asked"]
    formats = ["--format", "table,overlay", "label-studio", "cvat"]
    assert main([*suggest, *formats, *CLASSES]) == 0
    out = capsys.readouterr().out
    assert "round 1: 4 pixels in each of 3 pictures, 12 answers are open" in out
    assert "sfumato pixels ingest --rounds asked --answers FILE" in out
    asked = here / "asked/round-0001"
    assert {"table.csv", "label_studio.json", "cvat.xml", "overlay"} <= {
        path.name for path in asked.iterdir()
    }

    assert ingest(fill(asked, ["sky", "road", "failed"], leave=3)) == 2
    assert "has no answer" in capsys.readouterr().err
    assert ingest(fill(asked, ["sky", "road", "failed"], leave=3), "--missing", "wait") == 0
    out = capsys.readouterr().out
    assert "9 answers taken, 3 of them failed" in out
    assert "12 pixels bought, 6 answered, 3 failed, 3 waiting" in out
    assert "answer the 3 open questions" in out
    assert ingest(fill(asked, ["sky", "road", "failed"])) == 0
    out = capsys.readouterr().out
    assert "9 were known already" in out
    results = read_json(here / "asked/results.json")
    validate_rounds(results)
    assert results["spent"] == {"bought": 12, "answered": 8, "failed": 4, "waiting": 0}
    page = Page((here / "asked/report.html").read_text())
    assert len(page.images) == 3 * 3  # asked, answered, predicted
    assert main(["report", "--run", "asked"]) == 0

    line = next(one for one in out.splitlines() if one.startswith("next:"))
    assert main(shlex.split(line.partition("sfumato ")[2])) == 0
    rounds = Rounds(here / "asked").rounds()
    assert [one.k for one in rounds] == [4, 2]
    assert not set(rounds[0].places[0]) & set(rounds[1].places[0])
    assert main([*suggest, *CLASSES, "--k", "5"]) == 2  # round 2 is open
    assert "round 2 asks for 2 pixels" in capsys.readouterr().err


def test_a_grid_needs_no_training(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    pictures(here / "pictures")
    words = ["pixels", "suggest", "--selector", "grid", "--pictures", "pictures", "--k", "6"]
    assert main([*words, "--unit", "m", "--out", "asked"]) == 0
    assert Rounds(here / "asked").size == (16, 24)  # that of the pictures
    assert ingest(fill(here / "asked/round-0001", ["1.5", "2"])) == 0
    assert "18 answers taken, 0 of them failed" in capsys.readouterr().out
    assert main([*words, "--unit", "m", "--size", "4x6", "--out", "small"]) == 0
    assert Rounds(here / "small").size == (4, 6)
    assert main([*words, "--unit", "cm", "--out", "asked"]) == 2
    assert "holds a run with other settings (unit 'm' -> 'cm')" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--k", "3"], "give --run, or --selector grid"),
        (["--selector", "stratified", "--k", "3"], "--selector stratified needs a --run"),
        (["--selector", "grid", *CLASSES], "say with --k how many"),
        (["--selector", "grid", "--k", "3"], "say what an answer may be"),
        (["--selector", "grid", "--k", "999", *CLASSES], "k must be from 1 to the 384 pixels"),
        (["--selector", "grid", "--k", "0", *CLASSES], "--k must be at least 1"),
        (["--selector", "grid", "--k", "3", *CLASSES, "--format", "excel"], "no format 'excel'"),
        (["--selector", "grid", "--k", "3", *CLASSES, "--size", "99x99"], "street0.png"),
        (["--run", "nowhere"], "--run nowhere is not there"),
    ],
)
def test_what_cannot_be_asked(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    pictures(here / "pictures")
    assert main(["pixels", "suggest", "--pictures", "pictures", *words, "--out", "asked"]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1


def test_pictures_that_cannot_be_asked_about(
    capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    grid = ["pixels", "suggest", "--selector", "grid", "--k", "3", *CLASSES, "--pictures"]
    assert main([*grid, "nowhere"]) == 2
    assert "nowhere is not there" in capsys.readouterr().err
    broken = Path(pictures(here / "pictures")) / "street1.png"
    broken.write_bytes(broken.read_bytes()[:20])
    assert main([*grid, "pictures"]) == 2
    said = capsys.readouterr().err
    assert "'street1.png'" in said and len(said.splitlines()) == 1
    assert main(["pixels", "ingest", "--rounds", "nowhere", "--answers", "x.csv"]) == 2
    assert "nowhere holds no rounds" in capsys.readouterr().err
