"""What a selection means for modules of any kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

from torch import Tensor

from sfumato.errors import DataError
from sfumato.nn.conditional.selection import (
    Labels,
    Place,
    Selection,
    SoftSelection,
    holds_shares,
    read_selection,
)
from sfumato.noise import Source


@final
@dataclass(frozen=True)
class Weights:
    """π as `[n, C]`, `[n, C, T]` (`kind` "step") or `[n, C, *record]` ("element"); n is 1 or B."""

    values: Tensor
    kind: Literal["record", "step", "element"]
    place: Place


def read_for_modules(
    selection: Selection, shape: Sequence[int], num_classes: int, *, draw: bool, source: Source
) -> Labels | Weights:
    """What a selection means for records of any kind.

    Args:
        selection: as a user gives it.
        shape: of the input, the records first.
        num_classes: number of categories.
        draw: whether a mixture draws its class.
        source: of that draw.

    Raises:
        DataError: shape, dtype, class or value do not fit; the message says which.
    """
    batch, *record = shape
    space, stepwise = max(len(record) - 1, 0), False
    if isinstance(selection, Tensor):
        real = holds_shares(selection)
        if real and selection.dim() == 1 and selection.shape[0] == num_classes:
            selection = selection.unsqueeze(0)  # the same for all records
        stepwise = len(record) > 1 and selection.dim() == (3 if real else 2)
    elif isinstance(selection, SoftSelection) and len(selection.shape) not in (0, len(record)):
        raise DataError(
            f"a selection of shape {selection.shape} does not fit records of {record}: use () or "
            "as many axes as a record has"
        )
    reading = read_selection(
        selection, batch, num_classes, 1 if stepwise else space, draw=draw, source=source
    )
    if isinstance(reading, Labels) and (reading.index.dim() == 1 or stepwise):
        _check_sizes(reading.index.shape[1:], record)
        return reading
    shares = reading.shares(num_classes) if isinstance(reading, Labels) else reading
    values = shares.values
    if values.shape[2:].numel() == 1:
        return Weights(values.flatten(1), "record", shares.place)
    if stepwise:
        _check_sizes(values.shape[3:], record)
        return Weights(values[:, :, 0], "step", shares.place)
    if shares.place == "input":
        sizes = zip(values.shape[2:], record, strict=True)
        _check_sizes([want if have == 1 else have for have, want in sizes], record)
    return Weights(values, "element", shares.place)


def _check_sizes(found: Sequence[int], record: Sequence[int]) -> None:
    if list(found) != list(record[: len(found)]):
        raise DataError(
            f"the selection is for records of {list(found)}, but they are {list(record)}"
        )
