"""Rounds of questions and answers, kept in a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final, get_args

from sfumato.errors import DataError, SettingError
from sfumato.files import prepare_folder
from sfumato.pixels.formats.geometry import check_grid, pixel_of
from sfumato.pixels.formats.model import FAILED, Answer, Legend, Picture, Sheet, Suggestion
from sfumato.pixels.rounds.agreement import check_same
from sfumato.pixels.rounds.choosing import Chooser, Encode, described
from sfumato.pixels.rounds.known import Images, Known, SparseLabels, known_of
from sfumato.pixels.rounds.matching import Key, Questions
from sfumato.pixels.rounds.round import Budget, Code, Round
from sfumato.pixels.rounds.store import Store
from sfumato.pixels.selectors.base import Selector

Missing = Literal["error", "wait", "failed"]
_KEEP_EVERY = 64  # pictures between two writes of a round that is being chosen


@final
@dataclass(frozen=True)
class Ingested:
    """What one set of answers changed.

    Args:
        added: answers that are new, or replaced others.
        repeated: answers that were stored already.
        failed: of those added, how many gave nothing.
        waiting: questions that are still open, in all rounds.
    """

    added: int
    repeated: int
    failed: int
    waiting: int


@final
class Rounds:
    """Rounds in a folder: a selector suggests pixels, a person answers, the next round follows.

    Every file is written whole or not at all, so that a run can be killed at any moment: run the
    same again and it goes on. The places of a round are chosen once; asking again while answers
    are open gives the same places. Two processes cannot write at a time.

    Args:
        folder: where `Rounds.begin` began them.

    Raises:
        StoreError: there are no rounds, or a file is damaged.

    Example:
        >>> import tempfile, torch
        >>> from sfumato.pixels.formats import Answer, Legend, Picture
        >>> from sfumato.pixels.selectors import Grid
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     rounds = Rounds.begin(folder, [Picture("a.png", 4, 4)], (2, 2), Legend(("sky",)))
        ...     _ = rounds.suggest(Grid(3, (2, 2)), torch.rand(1, 3, 2, 2), k=1)
        ...     [one] = rounds.sheet().suggestions
        ...     print(rounds.ingest([Answer(one.picture, one.row, one.column, label="sky")]))
        Ingested(added=1, repeated=0, failed=0, waiting=0)
    """

    def __init__(self, folder: str | Path) -> None:
        self._store = Store(Path(folder))
        self.folder = Path(folder)
        self.pictures, self.size, self.legend = self._store.head()
        self._cells = self.size[0] * self.size[1]

    @staticmethod
    def begin(
        folder: str | Path, pictures: Sequence[Picture], size: tuple[int, int], legend: Legend
    ) -> Rounds:
        """Begin rounds in a folder, or go on with those that are there for the same pictures.

        Args:
            folder: it is made if it is not there.
            pictures: what `find_pictures` gives.
            size: height and width that the selector works on; no picture may have fewer pixels.
            legend: what an answer may be.

        Raises:
            DataError: no pictures, or one that is too small.
            StoreError: the folder holds rounds about something else, or is in use.
            OutputError: it cannot be written.
        """
        if not pictures:
            raise DataError("there are no pictures to ask about")
        for picture in pictures:
            check_grid(picture, size)
        Sheet(tuple(pictures), (), legend)  # names that occur twice
        store = Store(prepare_folder(folder))
        with store.locked():
            if not store.exists():
                store.write_head(pictures, size, legend)
        rounds = Rounds(folder)
        check_same(rounds.folder, (tuple(pictures), size, legend), store.head())
        return rounds

    def rounds(self) -> list[Round]:
        """All rounds so far, with their answers."""
        return self._store.rounds(len(self.pictures), self._cells, len(self.legend.classes))

    def suggest(
        self,
        selector: Selector,
        images: Images,
        k: int,
        *,
        encode: Encode | None = None,
        seed: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> Round:
        """The round that is open, or, if all is answered, a new one.

        Args:
            selector: of the rounds' size.
            images: the pictures `[C, h, w]`, in the order of `pictures`; a `PictureFolder`.
            k: pixels per picture.
            encode: targets to values, for a selector that looks at bought labels: `task.encode`.
            seed: of the draws; the same seed gives the same places.
            progress: called with the number of pictures done and the number in all.

        Raises:
            SettingError: k is not what the open round was made with, or more than the pixels that
                are left; or a selector that breaks its contract.
            DataError: pictures that do not fit.
            StoreError: another process writes here now, or a file is damaged.
        """
        if selector.size != self.size or len(images) != len(self.pictures):
            raise DataError(
                f"these rounds are about {len(self.pictures)} pictures of {self.size}, not "
                f"{len(images)} pictures of {selector.size}"
            )
        chooser = Chooser(selector, images, k, encode, seed)
        with self._store.locked():
            rounds = self.rounds()
            if rounds and not rounds[-1].complete:
                return _still_open(rounds[-1], k)
            self._check_left(rounds, k)
            self._choose(chooser, rounds, k, described(selector, seed), progress)
            return self.rounds()[-1]

    def _choose(
        self,
        chooser: Chooser,
        rounds: list[Round],
        k: int,
        by: str,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        number, count = len(rounds) + 1, len(self.pictures)
        places = self._store.begun(number, k, by, count, self._cells)
        for index in range(len(places), count):
            known = known_of(rounds, [index], self.size, self.legend.numbers)
            places.append(chooser.choose(index, self.pictures[index].name, number, known))
            if len(places) % _KEEP_EVERY == 0:
                self._store.write_begun(number, k, by, places)
            if progress is not None:
                progress(len(places), count)
        self._store.write_places(number, k, by, places)

    def _check_left(self, rounds: list[Round], k: int) -> None:
        left = self._cells - sum(one.k for one in rounds)
        if not 1 <= k <= left:
            raise SettingError(f"k must be from 1 to the {left} pixels that are left, not {k}")

    def sheet(
        self, number: int | None = None, *, root: str | Path | None = None, waiting: bool = False
    ) -> Sheet:
        """The questions of a round, in pixels of the pictures.

        Args:
            number: of the round; by default the last one.
            root: the folder of pictures; only an overlay needs it.
            waiting: only those that are still open.

        Raises:
            SettingError: there is no such round.
        """
        rounds = self.rounds()
        number = len(rounds) if number is None else number
        if not 1 <= number <= len(rounds):
            raise SettingError(f"there is no round {number}: {len(rounds)} were suggested so far")
        one = rounds[number - 1]
        suggestions = [
            self._suggestion(picture, cell)
            for picture, cells, answers in zip(self.pictures, one.places, one.answers, strict=True)
            for cell, answer in zip(cells, answers, strict=True)
            if answer is None or not waiting
        ]
        folder = None if root is None else Path(root)
        return Sheet(self.pictures, tuple(suggestions), self.legend, folder)

    def _suggestion(self, picture: Picture, cell: int) -> Suggestion:
        row, column = divmod(cell, self.size[1])
        row = pixel_of(row, self.size[0], picture.height)
        return Suggestion(picture.name, row, pixel_of(column, self.size[1], picture.width))

    def ingest(
        self,
        answers: Sequence[Answer],
        *,
        missing: Missing = "error",
        replace: bool = False,
        tolerance: int = 0,
    ) -> Ingested:
        """Take answers, of any round; those that are known already change nothing.

        Nothing is stored unless all answers are in order.

        Args:
            answers: in pixels of the pictures.
            missing: what to do with questions that stay open: refuse the answers ("error"), leave
                them open ("wait"), or count them as failed ("failed").
            replace: whether an answer may replace another one that was given before.
            tolerance: how many cells of the selector's grid a point may have been moved; it then
                answers the closest question that has no other answer.

        Raises:
            DataError: unknown pictures or classes, pixels that were not asked for, contradictions,
                open questions; each is named with its picture and pixel.
            StoreError: another process writes here now, or a file is damaged.
        """
        if missing not in get_args(Missing) or tolerance < 0:
            raise SettingError(
                f"missing must be one of {', '.join(get_args(Missing))} and tolerance at least 0, "
                f"not {missing!r} and {tolerance}"
            )
        with self._store.locked():
            rounds = self.rounds()
            if not rounds:
                raise DataError(f"nothing was asked so far in {self.folder}: suggest pixels first")
            questions = Questions(self.pictures, self.size, self.legend, rounds)
            found = questions.match(answers, replace=replace, tolerance=tolerance)
            if missing == "error":
                questions.check_nothing_missing(found)
            return self._take(rounds, found, FAILED if missing == "failed" else None)

    def _take(self, rounds: list[Round], found: dict[Key, Code], other: Code) -> Ingested:
        """Store `found`, and `other` for what is open and not in it."""
        added, waiting, repeated = list[Code](), 0, 0
        for one in rounds:
            rows, changed = list[list[Code]](), list[Code]()
            for number, (cells, answers) in enumerate(zip(one.places, one.answers, strict=True)):
                row = list[Code]()
                for cell, old in zip(cells, answers, strict=True):
                    given = found.get((number, cell))
                    row.append((other if old is None else old) if given is None else given)
                    changed += [] if row[-1] == old else [row[-1]]
                    repeated += given is not None and given == old
                waiting += row.count(None)
                rows.append(row)
            if changed:
                self._store.write_answers(one.number, rows)
            added += changed
        return Ingested(len(added), repeated, added.count(FAILED), waiting)

    def budget(self) -> tuple[Budget, ...]:
        """What was spent on each picture."""
        rounds = self.rounds()
        return tuple(
            _spent(picture.name, [code for one in rounds for code in one.answers[number]])
            for number, picture in enumerate(self.pictures)
        )

    def known(self) -> Known:
        """What has been bought of all pictures, as tensors on the selector's grid."""
        numbers = range(len(self.pictures))
        return known_of(self.rounds(), numbers, self.size, self.legend.numbers)

    def training_set(self, images: Images) -> SparseLabels:
        """The pictures with the labels bought so far: (picture, target, valid) per item."""
        return SparseLabels(images, self.known())


def _still_open(one: Round, k: int) -> Round:
    if one.k != k:
        raise SettingError(
            f"round {one.number} asks for {one.k} pixels per picture and waits for {one.waiting} "
            f"answers: ingest them, or ingest with missing='failed', before asking for {k}"
        )
    return one


def _spent(name: str, codes: list[Code]) -> Budget:
    failed = codes.count(FAILED)
    return Budget(name, len(codes), len(codes) - failed - codes.count(None), failed)
