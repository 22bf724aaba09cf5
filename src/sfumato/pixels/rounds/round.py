"""One round: the pixels that are asked for, and what has come back so far."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

from sfumato.errors import StoreError
from sfumato.pixels.formats.model import FAILED

Code = int | float | str | None
"""An answer as it is stored: a class number or a value, "failed", or None while it is open."""


@final
@dataclass(frozen=True)
class Round:
    """The pixels asked for in one round, and their answers.

    Args:
        number: from 1.
        k: pixels per picture.
        by: which selector chose them.
        places: per picture, k cells, each row · width + column on the selector's grid.
        answers: per picture, an answer for each of the places.
    """

    number: int
    k: int
    by: str
    places: tuple[tuple[int, ...], ...]
    answers: tuple[tuple[Code, ...], ...]

    @property
    def waiting(self) -> int:
        """How many answers are still open."""
        return sum(answer is None for row in self.answers for answer in row)

    @property
    def complete(self) -> bool:
        """Whether every pixel has been answered, or has failed."""
        return self.waiting == 0


@final
@dataclass(frozen=True)
class Budget:
    """What was spent on a picture.

    Args:
        picture: its name.
        bought: pixels asked for, in all rounds; failed ones and open ones count.
        answered: of these, how many have a label or value.
        failed: of these, how many gave nothing.
    """

    picture: str
    bought: int
    answered: int
    failed: int

    @property
    def waiting(self) -> int:
        """How many are still open."""
        return self.bought - self.answered - self.failed


def open_answers(places: tuple[tuple[int, ...], ...]) -> tuple[tuple[Code, ...], ...]:
    """Nothing answered yet."""
    return tuple((None,) * len(row) for row in places)


def places_of(
    found: Any, pictures: int, k: int, cells: int, what: str
) -> tuple[tuple[int, ...], ...]:
    """Stored places, checked.

    Raises:
        StoreError: they are not k different cells for each picture.
    """
    if not isinstance(found, list) or len(found) > pictures:
        raise StoreError(f"{what} is damaged: it holds no places of {pictures} pictures")
    for row in found:
        whole = isinstance(row, list) and all(
            type(cell) is int and 0 <= cell < cells for cell in row
        )
        if not whole or len(row) != k or len(set(row)) != k:
            raise StoreError(f"{what} is damaged: a picture has not {k} different places")
    return tuple(tuple(row) for row in found)


def answers_of(
    found: Any, places: tuple[tuple[int, ...], ...], classes: int, what: str
) -> tuple[tuple[Code, ...], ...]:
    """Stored answers, checked against the places.

    Raises:
        StoreError: they do not belong to these places, or are none.
    """
    fits = isinstance(found, list) and len(found) == len(places)
    if not fits or any(
        not isinstance(row, list) or len(row) != len(asked)
        for row, asked in zip(found, places, strict=True)
    ):
        raise StoreError(f"{what} is damaged: it does not belong to the places of its round")
    for answer in (one for row in found for one in row):
        number = not classes and type(answer) in (int, float) and math.isfinite(answer)
        known = classes and type(answer) is int and 0 <= answer < classes
        if not (answer is None or answer == FAILED or number or known):
            raise StoreError(f"{what} is damaged: {answer!r} is no answer")
    return tuple(tuple(row) for row in found)
