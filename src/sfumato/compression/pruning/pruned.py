"""What pruning gives: the network, and the way to it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from torch import nn

from sfumato.compression.collapsing import collapse
from sfumato.compression.pruning.folder import Folder
from sfumato.compression.pruning.row import Row, front, removed_until
from sfumato.compression.wiring import Wiring
from sfumato.errors import SettingError


@final
@dataclass(frozen=True, eq=False)
class Pruned:
    """A smaller network and the steps on the way to it.

    Args:
        model: the plain, dense, smaller network, fine-tuned, in evaluation mode.
        step: the step at which it was.
        met: whether it meets the budget, after the last fine-tuning.
        error: its validation error, after the last fine-tuning.
        rows: what the network was after every step.
        original: the network as it was.
        folder: where the steps lie.
    """

    model: nn.Module
    step: int
    met: bool
    error: float
    rows: tuple[Row, ...]
    original: nn.Module = field(repr=False)
    folder: Folder = field(repr=False)
    _wiring: Wiring = field(repr=False)

    @property
    def row(self) -> Row:
        """The row of the chosen step, before the last fine-tuning."""
        return self.rows[self.step]

    @property
    def front(self) -> tuple[Row, ...]:
        """The rows that no smaller network equals; their networks can be had again."""
        return front(self.rows)

    @property
    def path(self) -> Path:
        """The folder of the run."""
        return self.folder.path

    def network(self, step: int) -> nn.Module:
        """The plain network after a step on the front, before the last fine-tuning, in evaluation.

        Raises:
            SettingError: the step is not on the front.
            StoreError: its file is not there or is damaged.
        """
        return collapse(self.noisy(step)).eval()

    def noisy(self, step: int) -> nn.Module:
        """As `network`, with its stochastic layers where the original has some."""
        steps = [row.step for row in self.front]
        if step not in steps:
            raise SettingError(f"step {step} is not on the front: {steps}")
        return restored(self.original, self._wiring, self.rows, step, self.folder)[0]


def restored(
    original: nn.Module,
    wiring: Wiring,
    rows: tuple[Row, ...],
    step: int,
    folder: Folder | None,
) -> tuple[nn.Module, Wiring]:
    """The network after a step, and its wiring; with the original's weights without a folder."""
    model, wiring = copy.deepcopy(original), wiring.copy()
    wiring.remove(model, removed_until(rows, step))
    if folder is not None:
        folder.load_step(step, model)
    return model, wiring
