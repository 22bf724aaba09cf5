"""One step on the way from a network to a smaller one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class Row:
    """What the network was after a step.

    Args:
        step: 0 for the network as it was.
        multiplications: of one record.
        parameters: weights and biases.
        activations: values that a run stores.
        error: share of the validation records that it gets wrong, on the mean path.
        widths: by group of neurons, how many are left.
        removed: by group, the neurons removed in this step, by their numbers in the network as it
            was.
        tuned: steps of training that followed; none after the batch stage.
    """

    step: int
    multiplications: int
    parameters: int
    activations: int
    error: float
    widths: dict[str, int]
    removed: dict[str, list[int]]
    tuned: int = 0


def front(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The rows that no smaller network equals: of every error, the fewest multiplications."""
    kept: list[Row] = []
    for row in reversed(rows):
        if not kept or row.error < kept[-1].error:
            kept.append(row)
    return tuple(reversed(kept))


def removed_until(rows: Sequence[Row], step: int) -> dict[str, list[int]]:
    """All neurons removed up to and with a step, by group."""
    gone: dict[str, list[int]] = {}
    for row in rows[: step + 1]:
        for name, numbers in row.removed.items():
            gone.setdefault(name, []).extend(numbers)
    return gone
