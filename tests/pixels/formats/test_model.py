"""The data model: what is refused and how it is said."""

from __future__ import annotations

import pytest

from sfumato.errors import DataError, SettingError
from sfumato.pixels.formats import Answer, Legend, Picture, Sheet, Suggestion
from sfumato.pixels.formats.names import Names
from tests.pixels.formats.asked import CLASSES, METRES, PICTURES


@pytest.mark.parametrize("name", ["", " sky", "sky\n", "a;b", "failed", "?"])
def test_a_name_that_is_no_class(name: str) -> None:
    with pytest.raises(SettingError, match="class"):
        Legend((name,))


def test_a_class_named_twice() -> None:
    with pytest.raises(SettingError, match="two classes are called 'sky'"):
        Legend(("sky", "road", "sky"))


@pytest.mark.parametrize(
    "answer",
    [{}, {"label": "sky", "failed": True}, {"value": 1.0, "label": "x"}, {"value": float("nan")}],
    ids=["none", "two", "both", "nan"],
)
def test_an_answer_is_one_of_three(answer: dict[str, object]) -> None:
    with pytest.raises(DataError, match="picture 'a', row 1, column 2"):
        Answer("a", 1, 2, **answer)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("text", ["", " ", "?", " ? "])
def test_what_is_open(text: str) -> None:
    assert CLASSES.parse("a", 0, 0, text) is None


def test_what_is_answered() -> None:
    assert CLASSES.parse("a", 0, 0, " sky ") == Answer("a", 0, 0, label="sky")
    assert CLASSES.parse("a", 0, 0, "failed") == Answer("a", 0, 0, failed=True)
    assert METRES.parse("a", 0, 0, "-2.5e1") == Answer("a", 0, 0, value=-25.0)


def test_an_unknown_class_and_the_one_that_was_meant() -> None:
    with pytest.raises(DataError, match=r"row 3, column 4: there is no class 'Sky'; did you mean"):
        CLASSES.parse("a", 3, 4, "Sky")
    with pytest.raises(DataError, match="known are 'sky', "):
        CLASSES.parse("a", 3, 4, "xxxxxxxx")


@pytest.mark.parametrize("text", ["near", "1,5", "inf", "nan"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(DataError, match="row 3, column 4"):
        METRES.parse("a", 3, 4, text)


def test_a_sheet_with_a_pixel_outside() -> None:
    with pytest.raises(DataError, match=r"row 7, column 0 is outside of the picture of 7×5"):
        Sheet(PICTURES, (Suggestion("a.jpg", 7, 0),), CLASSES)
    with pytest.raises(DataError, match=r"'b\.jpg' is asked for, which is no picture"):
        Sheet(PICTURES, (Suggestion("b.jpg", 0, 0),), CLASSES)
    with pytest.raises(DataError, match="two pictures have one name"):
        Sheet((PICTURES[0], PICTURES[0]), (), CLASSES)


def test_a_picture_without_pixels() -> None:
    with pytest.raises(DataError, match="0×5"):
        Picture("a", 0, 5)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("a.jpg", "a.jpg"),
        ("./a.jpg", "a.jpg"),
        ("street one\\Straße ü.png", "street one/Straße ü.png"),
        ("street one/Straße u\u0308.png", "street one/Straße ü.png"),
        ("Straße ü.png", "street one/Straße ü.png"),
    ],
)
def test_how_tools_write_a_name(written: str, meant: str) -> None:
    assert Names(PICTURES).find(written, "x").name == meant


def test_a_last_part_that_two_pictures_share() -> None:
    names = Names([Picture("a/x.png", 1, 1), Picture("b/x.png", 1, 1)])
    assert names.find("b/x.png", "x").name == "b/x.png"
    with pytest.raises(DataError, match=r"there is no picture 'x\.png'"):
        names.find("x.png", "answers.csv")
    with pytest.raises(DataError, match=r"did you mean 'a/x\.png'"):
        names.find("a/x.jpg", "answers.csv")
