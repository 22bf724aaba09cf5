from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from sfumato.errors import StoreError
from sfumato.files import read_json, write_json
from sfumato.report.denoise.page import render_denoise, validate_denoise, write_denoise
from sfumato.report.denoise.pictures import certainty_grid, suspect_grid
from sfumato.report.denoise.tables import over_seeds, quality_table, short_files, suspects_table
from sfumato.report.denoise.words import verdict
from tests.report.reading import Page, check_self_contained

RATES, METHODS = (0.0, 0.4), ("se-snn+forward", "dropout")
DETECTION = {
    "auc": 0.99,
    "average_precision": 0.97,
    "precision": 0.9,
    "recall": 0.875,
    "count": 40,
    "rate": 0.4,
}
HEADINGS = [
    "pets: labels that look wrong",
    "Suspicious labels",
    "Down the list",
    "Accuracy against wrong labels",
    "Methods",
    "Most and least certain",
    "Settings",
    "Provenance",
    "Words",
]


def row(method: str, rate: float | None, seed: int) -> dict[str, Any]:
    known = bool(rate)
    return {
        "method": method,
        "rate": rate,
        "seed": seed,
        "accuracy": 0.9 + 0.02 * seed,
        "calibration_error": 0.05,
        "flagged": 40,
        "doubt": "spread",
        "wrong": rate,
        "detection": DETECTION if known else None,
        "curve": {"looked": [0, 50, 100], "found": [0.0, 0.9, 1.0]} if known else None,
        "spread_auc": 0.51 if known else None,
    }


def sample() -> dict[str, Any]:
    """What a run with wrong labels made on purpose finds."""
    suspect = {"file": "", "given": "cat", "guessed": "dog", "score": 3.25, "flagged": True}
    results: dict[str, Any] = {
        "schema": "sfumato.denoise/1",
        "command": "denoise",
        "data": {
            "name": "path/to/pets",
            "train": 100,
            "test": 20,
            "held_out": False,
            "shape": [1, 4, 4],
            "classes": ["cat", "dog"],
        },
        "noise": "patterned",
        "score": "loss",
        "headline": {"method": METHODS[0], "rate": 0.4, "seed": 0, "doubt": "spread"},
        "rows": [row(m, p, s) for m in METHODS for p in RATES for s in (0, 1)],
        "flagged": 40,
        "suspects": [
            {"rank": at + 1, "record": 7 * at, **suspect, "wrong": at < 2} for at in range(3)
        ],
        "certainty": {"most": [0, 1], "least": [1, 1]},
        "config": {"data": "path/to/pets", "rate": [0.0, 0.4]},
        "provenance": {"date": "2026-01-02T03:04:05+00:00"},
    }
    return {**results, "verdict": verdict(results)}


def unknown() -> dict[str, Any]:
    """What a run on labels of which nobody knows the truth finds."""
    results = sample()
    results["noise"], results["headline"]["rate"] = "none", None
    results["rows"] = [row(METHODS[0], None, 0)]
    for one in results["suspects"]:
        del one["wrong"]
        one["file"] = "pets/cat/picture.png"
    return {**results, "verdict": verdict(results)}


def tensors() -> dict[str, np.ndarray]:
    pictures = np.random.default_rng(0).random((3, 1, 4, 4), dtype=np.float32)
    return {"suspects": pictures, "most": pictures[:2], "least": pictures[1:]}


def test_the_page_has_its_parts_in_order_and_needs_no_other_file() -> None:
    html = render_denoise(sample(), tensors())
    assert Page(html).headings == HEADINGS
    assert len(Page(html).images) == 3 + 2 + 2
    check_self_contained(html)
    assert "40 of 100 labels look wrong (40 %)." in html.replace("\u00a0", " ")


def test_labels_of_which_nobody_knows_the_truth() -> None:
    html = render_denoise(unknown(), {})
    assert "Down the list" not in html
    assert "Accuracy against wrong labels" not in html
    assert "picture.png" in html
    assert "in truth" not in html
    assert Page(html).images == []


def test_the_verdict_says_what_is_known() -> None:
    lines = verdict(sample())
    assert "Of these, 90 % are wrong; of the wrong labels, 87.5 % are among them." in lines
    assert "The network reaches 90.0 % on 20 clean test records" in " ".join(lines)
    assert any("does not tell the wrong labels (AUC 0.51" in line for line in lines)
    doubtful = " ".join(verdict(unknown()))
    assert "Nobody knows how many of them are wrong" in doubtful
    assert "Their labels were taken as right." in doubtful
    assert "Warning" not in doubtful
    assert "has learned too little" in verdict({**unknown(), "flagged": 60})[0]
    useful = sample()
    for one in useful["rows"]:
        one["spread_auc"] = 0.9
    assert not any("does not tell" in line for line in verdict(useful))


@pytest.mark.parametrize(
    ("agreement", "chance", "word"),
    [
        (0.1, 0.1, "next to nothing"),
        (0.18, 0.1, "next to nothing"),
        (0.2, 0.1, "too little"),
        (0.49, 0.1, "too little"),
        (0.5, 0.1, None),
        (0.92, 0.92, "next to nothing"),
        (0.96, 0.92, None),
    ],
)
def test_a_network_that_has_learned_nothing(
    agreement: float, chance: float, word: str | None
) -> None:
    results = unknown()
    results["rows"][0] |= {"agreement": agreement, "chance": chance}
    results["verdict"] = verdict(results)
    validate_denoise(results)
    first, second = results["verdict"][:2]
    assert ("Warning" in first) == (word is not None)
    if word is not None:
        assert f"has learned {word}, and the list of suspects means nothing" in first
        assert "is the given label of" in second and "Train longer (--epochs, --lr)" in second
        assert first in render_denoise(results, {}).replace("\u00a0", " ")
        results["rows"][0]["wrong"] = 0.4
        assert "is the true label of" in verdict(results)[1]


def test_files_are_told_apart() -> None:
    long = ["pets/train/cat/1.png", "pets/train/dog/1.png", ""]
    assert short_files(long) == ["cat/1.png", "dog/1.png", ""]
    assert short_files(["a/b/cat/1.png", "a/c/cat/1.png"]) == ["b/cat/1.png", "c/cat/1.png"]
    assert short_files(["/a/cat/1.png"]) == ["cat/1.png"]
    assert short_files(["1.png", "a/2.png"]) == ["1.png", "a/2.png"]
    assert "<code>cat/picture.png</code>" in render_denoise(unknown(), {})


def test_tables() -> None:
    table = quality_table(sample())
    assert [one.title for one in table.rows if not one.cells] == ["p = 0 %", "p = 40 %"]
    assert [one.title for one in table.rows if one.strong] == [METHODS[0]]
    assert table.heads[1:3] == ["labels wrong, %", "accuracy, %"]
    assert "40.0" in str(table.rows[-1].cells[0])
    assert "91.0" in str(table.rows[1].cells[1])
    assert over_seeds(sample()["rows"], "precision") is None  # not known at p = 0
    assert suspects_table(sample()).heads[-1] == "in truth"
    assert suspects_table(unknown()).heads == ["record", "given", "looks like", "score", "file"]


def test_pictures_carry_both_labels() -> None:
    first = suspect_grid(tensors(), sample())[0]
    assert (first.caption, first.note) == ("cat → dog", "3.25, wrong")
    most, least = certainty_grid(tensors(), sample())
    assert [one.caption for one in most.pictures] == ["cat", "dog"]
    assert len(least.pictures) == 2
    assert suspect_grid({}, sample()) == certainty_grid({}, sample()) == []


def test_without_test_records_the_curve_is_about_the_list() -> None:
    results = sample()
    for one in results["rows"]:
        one["accuracy"] = one["calibration_error"] = None
    assert "average precision of the list" in render_denoise(results, {})


def test_it_is_written_and_made_anew(tmp_path: Path) -> None:
    write_json(tmp_path / "results.json", sample())
    save_file(tensors(), tmp_path / "pictures.safetensors")
    first = write_denoise(tmp_path).read_text(encoding="utf-8")
    assert write_denoise(tmp_path).read_text(encoding="utf-8") == first
    (tmp_path / "pictures.safetensors").write_bytes(b"broken")
    with pytest.raises(StoreError, match="damaged"):
        write_denoise(tmp_path)
    assert read_json(tmp_path / "results.json") == sample()


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (("schema",), "sfumato.results/1"),
        (("rows",), []),
        (("rows", 0, "accuracy"), 93.0),
        (("suspects", 0, "rank"), 0),
        (("score",), "guess"),
        (("verdict",), None),
    ],
)
def test_the_schema_refuses(path: tuple[Any, ...], wrong: Any) -> None:
    content = copy.deepcopy(sample())
    place: Any = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = wrong
    validate_denoise(sample())
    with pytest.raises(StoreError, match=str(path[0])):
        validate_denoise(content)
