"""The CSV table: round trips, spreadsheets' habits, damaged files."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from sfumato.errors import DataError, SettingError
from sfumato.pixels.formats import Answer, Picture, Sheet, Suggestion, Table
from tests.pixels.formats.asked import ASKED, METRES, sheet

HEAD = "picture,number,row,column,label\n"


def fill(path: Path, texts: list[str], delimiter: str = ",") -> None:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.reader(stream, delimiter=delimiter))
    for row, text in zip(rows[1:], texts, strict=True):
        row[-1] = text
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, delimiter=delimiter).writerows(rows)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_round_trip(tmp_path: Path, delimiter: str) -> None:
    [path] = Table(delimiter).write(sheet(), tmp_path)
    assert path == tmp_path / "table.csv" and path.read_bytes().startswith(b"\xef\xbb\xbf")
    assert Table().read(path, sheet()) == []
    fill(path, ["sky", "road & <kerb>", "failed", "Bäume", ""], delimiter)
    answers = Table().read(path, sheet())
    assert [(a.picture, a.row, a.column) for a in answers] == [
        (one.picture, one.row, one.column) for one in ASKED[:4]
    ]
    assert [a.label for a in answers] == ["sky", "road & <kerb>", None, "Bäume"]
    assert answers[2].failed


def test_numbers(tmp_path: Path) -> None:
    [path] = Table().write(sheet(METRES), tmp_path)
    fill(path, ["1.5", "-2", "failed", "", "3e-1"])
    answers = Table().read(path, sheet(METRES))
    assert [a.value for a in answers] == [1.5, -2.0, None, 0.3]


def test_names_with_delimiters_and_quotes(tmp_path: Path) -> None:
    name = 'a, "b"; c.png'
    asked = Sheet((Picture(name, 2, 2),), (Suggestion(name, 1, 0),), METRES)
    [path] = Table().write(asked, tmp_path)
    fill(path, ["7"])
    assert Table().read(path, asked) == [Answer(name, 1, 0, value=7.0)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_a_spreadsheet_saves(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "t.csv"
    text = "Picture;Row;Column;Value\r\nStraße ü.png;332,0;17;1,25\r\n;;;\r\n\r\n"
    path.write_bytes(text.encode(encoding))
    [answer] = Table().read(path, sheet(METRES))
    assert answer == Answer("street one/Straße ü.png", 332, 17, value=1.25)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("picture,row,label\na.jpg,0,sky\n", "no column 'column'"),
        ("a.jpg,0,0,sky\n", "no column 'picture'"),
        (HEAD + "a.jpg,1,0,0,sky\na.jpg,2,6", r"line 3: the line has 3 cells"),
        (HEAD + 'a.jpg,1,0,0,"sk', "no whole CSV table"),
        (HEAD + "a.jpg,1,0.5,0,sky\n", "line 2: '0.5' is no row or column"),
        (HEAD + "a.jpg,1,x,0,sky\n", "line 2: 'x' is no row"),
        (HEAD + "a.jpg,1,inf,0,sky\n", "line 2: 'inf' is no row"),
        (HEAD + "a.jpg,1,7,0,sky\n", "outside of the picture of 7×5"),
        (HEAD + "a.jpg,1,-1,0,sky\n", "outside of the picture of 7×5"),
        (HEAD + "b.jpg,1,0,0,sky\n", "line 2: there is no picture 'b.jpg'"),
        (HEAD + "a.jpg,1,0,0,skye\n", "row 0, column 0: there is no class 'skye'"),
    ],
)
def test_a_damaged_table(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=said):
        Table().read(path, sheet())


def test_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes((HEAD + "Straße ü.png,1,0,0,sky\n").encode("cp1252"))
    with pytest.raises(DataError, match='save it as "CSV UTF-8"'):
        Table().read(path, sheet())


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        Table().read(tmp_path / "none.csv", sheet())


def test_a_delimiter_that_is_none() -> None:
    with pytest.raises(SettingError, match="delimiter"):
        Table("|")
