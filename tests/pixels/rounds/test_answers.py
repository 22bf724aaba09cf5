"""Answers that are wrong: each is named with its picture and pixel, and nothing is stored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sfumato.errors import DataError
from sfumato.pixels.formats import Answer
from sfumato.pixels.rounds import Ingested, Rounds
from tests.pixels.rounds.given import METRES, answered, files, suggested


def refused(rounds: Rounds, answers: list[Answer], said: str) -> None:
    before = files(rounds.folder)
    with pytest.raises(DataError, match=said):
        rounds.ingest(answers)
    assert files(rounds.folder) == before


def unasked(rounds: Rounds, picture: str = "a.png") -> Answer:
    asked = {(s.row, s.column) for s in rounds.sheet().suggestions if s.picture == picture}
    free = [(r, c) for r in range(4) for c in range(6) if (r, c) not in asked]
    return Answer(picture, *free[0], label="sky")


def where(answer: Answer) -> str:
    return f"picture '{answer.picture}', row {answer.row}, column {answer.column}"


def test_a_pixel_that_was_not_asked_for(tmp_path: Path) -> None:
    rounds = suggested(tmp_path)
    one = unasked(rounds)
    refused(rounds, [*answered(rounds), one], f"{where(one)} was not asked for; the nearest")


def test_a_picture_of_which_nothing_is_known(tmp_path: Path) -> None:
    rounds = suggested(tmp_path)
    refused(
        rounds, [Answer("x.png", 1, 2, "sky")], r"row 1, column 2: there is no picture 'x\.png'"
    )


def test_an_unknown_class_or_the_wrong_kind(tmp_path: Path) -> None:
    rounds = suggested(tmp_path / "1")
    first, *rest = answered(rounds)
    refused(rounds, [replace(first, label="rode"), *rest], f"{where(first)}: there is no class 'ro")
    refused(rounds, [replace(first, label=None, value=1.0), *rest], "is 1.0 and must be a class")
    depths = suggested(tmp_path / "2", legend=METRES)
    refused(depths, [first, *rest], f"{where(first)}: the answer is 'road' and must be a number")


def test_a_pixel_outside_of_its_picture(tmp_path: Path) -> None:
    rounds = suggested(tmp_path)
    refused(rounds, [Answer("a.png", 4, 0, "sky")], "outside of the picture of 4×6")


def test_answers_that_contradict_each_other(tmp_path: Path) -> None:
    rounds = suggested(tmp_path)
    first, *rest = answered(rounds)
    other = replace(first, label="sky")
    refused(rounds, [first, other, *rest], f"{where(first)} has two answers, 'road' and 'sky'")


def test_an_answer_that_contradicts_an_earlier_one(tmp_path: Path) -> None:
    rounds = suggested(tmp_path)
    first, *rest = answered(rounds)
    rounds.ingest([first, *rest])
    other = replace(first, label="sky")
    refused(rounds, [other], f"{where(first)} was answered 'road' before and is 'sky' now")
    assert rounds.ingest([other], replace=True) == Ingested(1, 0, 0, 0)
    assert rounds.rounds()[0].answers[0][0] == 0


def test_missing_answers(tmp_path: Path) -> None:
    rounds = suggested(tmp_path, k=4)
    answers = answered(rounds)
    refused(rounds, answers[1:], f"{where(answers[0])} has no answer\nanswer them, or take")
    refused(rounds, answers[:2], r"and 5 more like these\nanswer them")


def test_many_mistakes_are_told_together(tmp_path: Path) -> None:
    rounds = suggested(tmp_path)
    one = unasked(rounds)
    refused(rounds, [one] * 9, "and 4 more like these")


def test_a_point_that_was_moved_a_little(tmp_path: Path) -> None:
    rounds = suggested(tmp_path)
    first, *rest = answered(rounds)
    column = first.column + (1 if first.column < 5 else -1)
    taken = {(s.row, s.column) for s in rounds.sheet().suggestions if s.picture == "a.png"}
    moved = replace(first, column=column)
    assert (moved.row, moved.column) not in taken
    refused(rounds, [moved, *rest], f"{where(moved)} was not asked for")
    assert rounds.ingest([moved, *rest], tolerance=1) == Ingested(6, 0, 0, 0)
    assert rounds.ingest([moved, *rest], tolerance=1) == Ingested(0, 6, 0, 0)
    far = replace(first, row=(first.row + 3) % 4, column=(first.column + 3) % 6)
    assert (far.row, far.column) not in taken
    refused(rounds, [far], "was not asked for")


def test_any_pixel_of_a_cell_answers_for_the_cell(tmp_path: Path) -> None:
    rounds = suggested(tmp_path)
    nudged = [
        replace(a, row=a.row + 4, column=a.column - 4) if a.picture == "b/ü 1.png" else a
        for a in answered(rounds)
    ]
    assert rounds.ingest(nudged) == Ingested(6, 0, 0, 0)
