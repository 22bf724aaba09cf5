"""The files of a rounds folder: every one whole or not there, and one process at a time.

`rounds.json` says what the rounds are about and never changes. `round-0001.json` holds the places
of a round and never changes either. `answers-0001.json` holds all answers of the round and is
replaced whole. `begun-0002.json` is a round being chosen; it is removed when the round is there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

from sfumato.errors import SfumatoError, StoreError
from sfumato.files import atomic, output_error, read_json
from sfumato.pixels.formats.model import Legend, Picture
from sfumato.pixels.rounds.round import Code, Round, answers_of, open_answers, places_of

HEAD = "rounds.json"
_LOCK = ".rounds.lock"
_FORMAT = 1


@final
class Store:
    """Reads and writes the files of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def exists(self) -> bool:
        """Whether rounds were begun here."""
        return (self.folder / HEAD).is_file()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let one process at a time change the folder; the lock ends with the process."""
        from filelock import FileLock, Timeout  # torch needs it too

        lock = FileLock(self.folder / _LOCK, timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise StoreError(
                f"another process is writing to the rounds in {self.folder}: wait until it is done"
            ) from error
        except OSError as error:
            raise output_error(error, self.folder / _LOCK) from error
        try:
            self._clear()
            yield
        finally:
            lock.release()

    def _clear(self) -> None:
        """Remove what a process that was killed left behind."""
        for path in self.folder.glob(".*.part"):
            path.unlink(missing_ok=True)
        for path in self.folder.glob("begun-*.json"):
            if path.with_name(path.name.replace("begun", "round")).exists():
                path.unlink(missing_ok=True)

    def write_head(
        self, pictures: Sequence[Picture], size: tuple[int, int], legend: Legend
    ) -> None:
        """Write `rounds.json`."""
        head = {
            "format": _FORMAT,
            "size": list(size),
            "classes": list(legend.classes),
            "unit": legend.unit,
            "pictures": [[p.name, p.height, p.width, p.sha256] for p in pictures],
        }
        _dump(self.folder / HEAD, head)

    def head(self) -> tuple[tuple[Picture, ...], tuple[int, int], Legend]:
        """What `rounds.json` says.

        Raises:
            StoreError: it is missing or damaged, or of a later version.
        """
        path = self.folder / HEAD
        if not path.is_file():
            raise StoreError(f"{self.folder} holds no rounds: suggest pixels there first")
        found = read_json(path)
        try:
            if found["format"] != _FORMAT:
                raise StoreError(f"{path} was written by another version: {found['format']!r}")
            pictures = tuple(Picture(*one) for one in found["pictures"])
            height, width = found["size"]
            return pictures, (height, width), Legend(tuple(found["classes"]), found["unit"])
        except StoreError:
            raise
        except (KeyError, TypeError, ValueError, SfumatoError) as error:
            raise StoreError(f"{path} is damaged ({error}): restore it from a copy") from error

    def rounds(self, pictures: int, cells: int, classes: int) -> list[Round]:
        """All rounds that were chosen, in order.

        Raises:
            StoreError: a file is missing in between, or damaged.
        """
        numbers = sorted(int(path.stem[6:]) for path in self.folder.glob("round-[0-9]*.json"))
        if numbers != list(range(1, len(numbers) + 1)):
            raise StoreError(f"{self.folder} has the rounds {numbers}: one of them is missing")
        return [self._round(number, pictures, cells, classes) for number in numbers]

    def _round(self, number: int, pictures: int, cells: int, classes: int) -> Round:
        path = self.folder / f"round-{number:04d}.json"
        found = _object(path, {"k", "by", "places"})
        places = places_of(found["places"], pictures, found["k"], cells, str(path))
        if len(places) != pictures:
            raise StoreError(f"{path} is damaged: it has places of {len(places)} pictures")
        path = self._answers(number)
        answers = open_answers(places)
        if path.is_file():
            answers = answers_of(_object(path, {"answers"})["answers"], places, classes, str(path))
        return Round(number, found["k"], str(found["by"]), places, answers)

    def write_places(self, number: int, k: int, by: str, places: list[list[int]]) -> None:
        """Fix the places of a round, once and for all."""
        _dump(self.folder / f"round-{number:04d}.json", {"k": k, "by": by, "places": places})
        self._begun(number).unlink(missing_ok=True)

    def write_begun(self, number: int, k: int, by: str, places: list[list[int]]) -> None:
        """Keep the places that have been chosen so far."""
        _dump(self._begun(number), {"k": k, "by": by, "places": places})

    def begun(self, number: int, k: int, by: str, pictures: int, cells: int) -> list[list[int]]:
        """The places that were chosen before the run was cut short, if it was the same run."""
        path = self._begun(number)
        if not path.is_file():
            return []
        found = _object(path, {"k", "by", "places"})
        if (found["k"], found["by"]) != (k, by):
            return []  # nobody has seen them yet
        return [list(row) for row in places_of(found["places"], pictures, k, cells, str(path))]

    def write_answers(self, number: int, answers: Sequence[Sequence[Code]]) -> None:
        """Replace the answers of a round."""
        _dump(self._answers(number), {"answers": [list(row) for row in answers]})

    def _answers(self, number: int) -> Path:
        return self.folder / f"answers-{number:04d}.json"

    def _begun(self, number: int) -> Path:
        return self.folder / f"begun-{number:04d}.json"


def _dump(path: Path, found: dict[str, Any]) -> None:
    """One line of JSON: millions of places would be as many lines."""
    with atomic(path) as part:
        part.write_text(json.dumps(found, allow_nan=False) + "\n", encoding="utf-8")


def _object(path: Path, keys: set[str]) -> dict[str, Any]:
    found = read_json(path)
    if not isinstance(found, dict) or not keys <= found.keys():
        raise StoreError(f"{path} is damaged: it does not hold {', '.join(sorted(keys))}")
    return found
