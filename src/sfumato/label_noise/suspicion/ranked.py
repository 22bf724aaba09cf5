"""Labels by suspicion, the most suspicious first."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, final

from torch import Tensor

from sfumato.errors import DataError
from sfumato.label_noise.suspicion.detection import Detection, detect


@final
@dataclass(frozen=True)
class Suspect:
    """One suspicious label.

    Args:
        record: its number in the data.
        given: the label that it has.
        guessed: the class that it would be given.
        score: how suspicious, in the unit of its list.
    """

    record: int
    given: int
    guessed: int
    score: float


@final
@dataclass(frozen=True, eq=False)
class Suspects:
    """All labels by falling suspicion.

    Args:
        name: of the score.
        records: record numbers `[N]`, the most suspicious first.
        given: their labels `[N]`, in that order.
        guessed: the classes that they would be given `[N]`, in that order.
        score: how suspicious `[N]`, falling.
        flagged: how many of the first are held wrong.
    """

    name: str
    records: Tensor
    given: Tensor
    guessed: Tensor
    score: Tensor
    flagged: int

    def __len__(self) -> int:
        return len(self.records)

    def top(self, count: int | None = None) -> list[Suspect]:
        """The `count` most suspicious labels; all that are held wrong where it is None."""
        count = self.flagged if count is None else max(0, count)
        columns = (self.records, self.given, self.guessed, self.score)
        rows = zip(*(column[:count].tolist() for column in columns), strict=True)
        return [Suspect(*row) for row in rows]

    def rows(self, count: int | None = None) -> list[dict[str, Any]]:
        """`top` as JSON values."""
        return [asdict(each) for each in self.top(count)]

    def detection(self, clean: Tensor, count: int | None = None) -> Detection:
        """How well the list finds the labels that are wrong.

        Args:
            clean: the true labels `[N]`, by record number.
            count: how many of the first to hold wrong, by default `flagged`.

        Raises:
            DataError: another number of labels, or none that are wrong, or none that are right.
        """
        if len(clean) != len(self):
            raise DataError(f"{len(self)} records were ranked, and {len(clean)} true labels given")
        wrong = self.given != clean.cpu()[self.records]
        count = self.flagged if count is None else min(max(0, count), len(self))
        return detect(self.score, wrong, count)


def ranked(
    name: str, score: Tensor, labels: Tensor, guessed: Tensor, held: int | None = None
) -> Suspects:
    """Order records by falling `score` `[N]`; equal scores keep the order of the records.

    Args:
        name: of the score.
        score: `[N]`.
        labels: as given, `[N]`.
        guessed: `[N]`.
        held: how many of the first are held wrong; by default as many as there are records whose
            guess differs from the label.

    Raises:
        DataError: a score is NaN.
    """
    score, labels, guessed = score.detach().cpu().double(), labels.cpu(), guessed.cpu()
    if bool(score.isnan().any()):
        raise DataError("a score is NaN: look for NaN in the records or in the weights")
    order = score.argsort(descending=True, stable=True)
    count = int((guessed != labels).sum()) if held is None else held
    return Suspects(name, order, labels[order], guessed[order], score[order], count)
