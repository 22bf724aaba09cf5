"""Which question each answer belongs to, and what is wrong with those that have none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from sfumato.errors import DataError
from sfumato.pixels.formats.geometry import cell_of, pixel_at, pixel_of
from sfumato.pixels.formats.model import FAILED, Answer, Legend, Picture, place
from sfumato.pixels.formats.names import Names
from sfumato.pixels.rounds.round import Code, Round

_SHOWN = 5
Key = tuple[int, int]
"""The number of a picture, and a cell of it."""


@final
class Questions:
    """All pixels that were asked for, in all rounds; none is asked for twice.

    Args:
        pictures: of the rounds.
        size: of the selector's grid.
        legend: what an answer may be.
        rounds: with the answers so far.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        size: tuple[int, int],
        legend: Legend,
        rounds: Sequence[Round],
    ) -> None:
        self._pictures, self._size, self._legend = pictures, size, legend
        self._names = Names(pictures)
        self._numbers = {picture.name: number for number, picture in enumerate(pictures)}
        self._stored: dict[Key, Code] = {
            (number, cell): answer
            for one in rounds
            for number, (cells, answers) in enumerate(zip(one.places, one.answers, strict=True))
            for cell, answer in zip(cells, answers, strict=True)
        }

    def match(self, answers: Sequence[Answer], *, replace: bool, tolerance: int) -> dict[Key, Code]:
        """The answers by what they answer; those that are stored already are among them.

        Raises:
            DataError: an unknown picture or class, a pixel that was not asked for, or answers
                that contradict each other or what is stored.
        """
        found = dict[Key, Code]()
        problems, nudged = list[str](), list[tuple[Answer, Key, Code]]()
        for answer in answers:
            key, code = self._read(answer)
            if key in self._stored:
                self._add(key, code, found, replace, problems)
            else:
                nudged.append((answer, key, code))
        for answer, key, code in nudged:
            near = self._nearest(key, found, tolerance)
            if near is None:
                problems.append(self._unasked(answer, key) if len(problems) < _SHOWN else "")
            else:
                self._add(near, code, found, replace, problems)
        if problems:
            raise DataError(_together(problems))
        return found

    def check_nothing_missing(self, found: dict[Key, Code]) -> None:
        """Make sure that with these answers nothing is open.

        Raises:
            DataError: something is.
        """
        missing = [key for key, code in self._stored.items() if code is None and key not in found]
        if missing:
            said = [f"{self._said(key)} has no answer" for key in missing]
            raise DataError(
                _together(said) + '\nanswer them, or take what is there: missing="wait" leaves '
                'the rest open, missing="failed" counts it as failed'
            )

    def _read(self, answer: Answer) -> tuple[Key, Code]:
        where = place(answer.picture, answer.row, answer.column)
        picture = self._names.find(answer.picture, where)
        row, column = pixel_at(answer.column + 0.5, answer.row + 0.5, picture)
        height, width = self._size
        cell = cell_of(row, height, picture.height) * width + cell_of(column, width, picture.width)
        return (self._numbers[picture.name], cell), self._code(answer, where)

    def _code(self, answer: Answer, where: str) -> Code:
        if answer.failed:
            return FAILED
        if self._legend.numbers:
            if answer.value is None:
                raise DataError(f"{where}: the answer is {answer.label!r} and must be a number")
            return float(answer.value)
        if answer.label is None:
            raise DataError(f"{where}: the answer is {answer.value} and must be a class")
        return self._legend.index(answer.label, where)

    def _add(
        self, key: Key, code: Code, found: dict[Key, Code], replace: bool, problems: list[str]
    ) -> None:
        stored = None if replace else self._stored[key]
        if key in found and found[key] != code:
            problems.append(
                f"{self._said(key)} has two answers, {self._shown(found[key])} and "
                f"{self._shown(code)}: decide for one"
            )
        elif stored is not None and stored != code:
            problems.append(
                f"{self._said(key)} was answered {self._shown(stored)} before and is "
                f"{self._shown(code)} now: correct one, or say that new answers replace old ones"
            )
        else:
            found[key] = code

    def _nearest(self, key: Key, found: dict[Key, Code], tolerance: int) -> Key | None:
        """The closest asked cell that has no answer here, at most `tolerance` cells away."""
        number, width = key[0], self._size[1]
        row, column = divmod(key[1], width)
        around = [
            (abs(down) + abs(right), number, (row + down) * width + column + right)
            for down in range(-tolerance, tolerance + 1)
            for right in range(-tolerance, tolerance + 1)
            if 0 <= column + right < width
        ]
        keys = ((number, cell) for _, number, cell in sorted(around))
        return next((one for one in keys if one in self._stored and one not in found), None)

    def _unasked(self, answer: Answer, key: Key) -> str:
        row, column = divmod(key[1], self._size[1])
        asked = [cell for number, cell in self._stored if number == key[0]]
        said = place(self._pictures[key[0]].name, answer.row, answer.column)
        if not asked:
            return f"{said} was not asked for, nor any pixel of the picture: remove the answer"
        width = self._size[1]
        near = min(asked, key=lambda one: abs(one // width - row) + abs(one % width - column))
        return (
            f"{said} was not asked for; the nearest that was is at "
            f"{self._pixel((key[0], near))}: move the point there, remove it, or allow a tolerance"
        )

    def _pixel(self, key: Key) -> str:
        picture, (row, column) = self._pictures[key[0]], divmod(key[1], self._size[1])
        row = pixel_of(row, self._size[0], picture.height)
        return f"row {row}, column {pixel_of(column, self._size[1], picture.width)}"

    def _said(self, key: Key) -> str:
        return f"picture {self._pictures[key[0]].name!r}, {self._pixel(key)}"

    def _shown(self, code: Code) -> str:
        if isinstance(code, int) and not self._legend.numbers:
            return repr(self._legend.classes[code])
        return repr(code)


def _together(problems: list[str]) -> str:
    more = len(problems) - _SHOWN
    return "\n".join(problems[:_SHOWN]) + (f"\nand {more} more like these" if more > 0 else "")
