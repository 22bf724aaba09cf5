"""What is asked of an annotator and what comes back, whatever the file format."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import final

from sfumato.errors import DataError, SettingError

FAILED = "failed"
"""The label of a measurement that was tried and gave nothing; it has been paid for all the same."""

OPEN = "?"
"""The label of a pixel that nobody has answered yet."""


def place(picture: str, row: float, column: float) -> str:
    """How a message names a pixel."""
    return f"picture {picture!r}, row {row:g}, column {column:g}"


@final
@dataclass(frozen=True)
class Picture:
    """A picture as the annotator sees it, turned upright as its EXIF tag says.

    Args:
        name: path below the folder of pictures, with `/`; unique.
        height: in pixels.
        width: in pixels.
        sha256: of the file; "" where there is none.
    """

    name: str
    height: int
    width: int
    sha256: str = ""

    def __post_init__(self) -> None:
        if not self.name or self.height < 1 or self.width < 1:
            raise DataError(
                f"a picture needs a name and at least one pixel, not {self.name!r} of "
                f"{self.height}×{self.width}"
            )


@final
@dataclass(frozen=True)
class Suggestion:
    """A pixel to measure or annotate; row and column from 0 at the top left of the picture."""

    picture: str
    row: int
    column: int


@final
@dataclass(frozen=True)
class Answer:
    """What came back for a pixel: a class, a number, or that the measurement failed.

    Raises:
        DataError: none or several of these, or a value that is not finite.
    """

    picture: str
    row: int
    column: int
    label: str | None = None
    value: float | None = None
    failed: bool = False

    def __post_init__(self) -> None:
        where = place(self.picture, self.row, self.column)
        given = (self.label is not None) + (self.value is not None) + self.failed
        if given != 1:
            raise DataError(f"{where}: an answer is a label, a value or failed, one of the three")
        if self.value is not None and not math.isfinite(self.value):
            raise DataError(f"{where}: {self.value} is no value: call the measurement {FAILED!r}")


@final
@dataclass(frozen=True)
class Legend:
    """What an answer may be: one of these classes, or, without classes, any finite number.

    Args:
        classes: names, in the order of the class numbers.
        unit: of the numbers, such as "m".

    Raises:
        SettingError: a class without a name, twice, or with a name that has a meaning here.
    """

    classes: tuple[str, ...] = ()
    unit: str = ""

    def __post_init__(self) -> None:
        for name in self.classes:
            if not name or name != name.strip() or not name.isprintable() or ";" in name:
                raise SettingError(
                    f"{name!r} cannot be a class: a name is not empty, has no space at its ends, "
                    "no line break and no semicolon"
                )
            if name in (FAILED, OPEN):
                raise SettingError(f"no class may be called {name!r}: it has a meaning of its own")
        if len(set(self.classes)) != len(self.classes):
            twice = next(name for name in self.classes if self.classes.count(name) > 1)
            raise SettingError(f"two classes are called {twice!r}: rename one")

    @property
    def numbers(self) -> bool:
        """Whether answers are numbers."""
        return not self.classes

    def parse(self, picture: str, row: int, column: int, text: str) -> Answer | None:
        """The answer that `text` is; None if it is still open.

        Raises:
            DataError: it is neither a class of the legend, a number, nor "failed".
        """
        text = text.strip()
        if text in ("", OPEN):
            return None
        if text == FAILED:
            return Answer(picture, row, column, failed=True)
        if self.numbers:
            return Answer(picture, row, column, value=_number(picture, row, column, text))
        self.index(text, place(picture, row, column))
        return Answer(picture, row, column, label=text)

    def index(self, label: str, where: str) -> int:
        """The class number of a label.

        Raises:
            DataError: there is no such class.
        """
        if label not in self.classes:
            near = get_close_matches(label, self.classes, 1)
            meant = f"did you mean {near[0]!r}?" if near else f"known are {_listed(self.classes)}"
            raise DataError(f"{where}: there is no class {label!r}; {meant}")
        return self.classes.index(label)


@final
@dataclass(frozen=True)
class Sheet:
    """One round of questions, ready to be written in any format.

    Args:
        pictures: all pictures that answers may be about.
        suggestions: pixels to ask for.
        legend: what an answer may be.
        root: the folder of pictures; only drawing needs it.

    Raises:
        DataError: a suggestion outside of its picture, or of no picture of the sheet.
    """

    pictures: tuple[Picture, ...]
    suggestions: tuple[Suggestion, ...]
    legend: Legend
    root: Path | None = None

    def __post_init__(self) -> None:
        known = {picture.name: picture for picture in self.pictures}
        if len(known) != len(self.pictures):
            raise DataError("two pictures have one name: names are paths below one folder")
        for one in self.suggestions:
            if one.picture not in known:
                raise DataError(f"a pixel of {one.picture!r} is asked for, which is no picture")
            picture = known[one.picture]
            if not (0 <= one.row < picture.height and 0 <= one.column < picture.width):
                raise DataError(
                    f"{place(one.picture, one.row, one.column)} is outside of the picture of "
                    f"{picture.height}×{picture.width}"
                )

    def asked(self) -> list[tuple[Picture, list[Suggestion]]]:
        """The pictures of which something is asked, each with its suggestions in order."""
        found: dict[str, list[Suggestion]] = {picture.name: [] for picture in self.pictures}
        for one in self.suggestions:
            found[one.picture].append(one)
        return [(p, found[p.name]) for p in self.pictures if found[p.name]]


def _number(picture: str, row: int, column: int, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise DataError(
            f"{place(picture, row, column)}: {text!r} is no number; write a number with a point, "
            f"or {FAILED!r} if the measurement gave nothing"
        ) from error


def _listed(names: Sequence[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more
