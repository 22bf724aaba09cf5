"""The steps of one run of pruning."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import final

import torch
from torch import Tensor, nn

from sfumato.compression.counting import Count, count
from sfumato.compression.importance import Importance, Scene, ranked
from sfumato.compression.importance.ranking import least
from sfumato.compression.pruning.budget import Budget
from sfumato.compression.pruning.folder import Folder
from sfumato.compression.pruning.pruned import restored
from sfumato.compression.pruning.row import Row
from sfumato.compression.pruning.tuning import tune, wrong
from sfumato.compression.removing import silent_in
from sfumato.compression.wiring import Costs, Wiring
from sfumato.train import BatchLoss, Progress, Recipe, generator, seeded
from sfumato.train.loop import Augment


@final
@dataclass(frozen=True, eq=False)
class Plan:
    """What `prune` was asked for, by the names of its arguments."""

    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    budget: Budget
    importance: Importance
    loss: BatchLoss
    recipe: Recipe
    steps: int
    batch_stage: bool
    at_once: int
    records: int
    patience: int
    augment: Augment | None
    save_every: int
    seed: int


@final
class Run:
    """Removes, fine-tunes and notes, from the last saved step on.

    Args:
        plan: what was asked for.
        original: the network as it was.
        wiring: of it.
        store: the folder of the run.
        progress: called after every step.
    """

    def __init__(
        self, plan: Plan, original: nn.Module, wiring: Wiring, store: Folder, progress: Progress
    ) -> None:
        self._plan, self._store, self._progress = plan, store, progress
        self._original, self._wired = original, wiring
        self._shape = plan.train[0].shape[1:]
        self._rows = store.rows()
        until = len(self._rows) - 1
        self._model, self._wiring = restored(original, wiring, tuple(self._rows), until, None)
        self._optimizer = plan.recipe.optimizer_for(self._model)
        self._costs = Costs(original, plan.train[0])
        self._alive = {name: list(range(size)) for name, size in wiring.sizes.items()}
        for row in self._rows:
            self._forget(row.removed)
        if self._rows:
            store.load_last(self._model, self._optimizer)

    def rows(self) -> tuple[Row, ...]:
        """Run to the end."""
        if not self._rows:
            self._begin()
        if len(self._rows) == 1 and self._plan.batch_stage and not self._done():
            self._silence()
        while not self._done():
            self._step()
        self._store.save_last(self._rows, self._model, self._optimizer)
        return tuple(self._rows)

    def _begin(self) -> None:
        self._note({})
        self._plan.budget.check(self._rows[0], self._smallest())
        self._store.save_last(self._rows, self._model, self._optimizer)

    def _smallest(self) -> Count:
        model, wiring = copy.deepcopy(self._original), self._wired.copy()
        wiring.remove(model, {name: range(1, size) for name, size in wiring.sizes.items()})
        return count(model, self._shape)

    def _done(self) -> bool:
        exhausted = all(size == 1 for size in self._wiring.sizes.values())
        return exhausted or self._plan.budget.done(self._rows, self._plan.patience)

    def _silence(self) -> None:
        """The batch stage: every neuron goes that never fires on the training records."""
        gone = silent_in(self._wiring, self._model, self._plan.train[0])
        if gone:
            self._wiring.remove(self._model, gone, self._optimizer)
            self._note(self._forget_now(gone))

    def _step(self) -> None:
        """The neuron that is missed least goes, and the network learns for some steps."""
        plan, number = self._plan, len(self._rows)
        with seeded(plan.seed, "importance", number):
            costs = self._costs.by_neuron(self._model, self._wiring)
            scores = ranked(plan.importance, self._scene(number), costs)
        gone = least(scores, plan.at_once)
        self._wiring.remove(self._model, gone, self._optimizer)
        tune(
            self._model, *plan.train, self._optimizer, plan.recipe, steps=plan.steps,
            loss=plan.loss, augment=plan.augment, seed=plan.seed, row=number,
        )  # fmt: skip
        self._note(self._forget_now(gone), plan.steps)
        if number % plan.save_every == 0:
            self._store.save_last(self._rows, self._model, self._optimizer)

    def _scene(self, number: int) -> Scene:
        inputs, labels = self._plan.train
        random = generator(self._plan.seed, "importance", number)
        few = torch.randperm(len(inputs), generator=random)[: self._plan.records]
        return Scene(self._model, self._wiring, inputs[few], labels[few])

    def _note(self, removed: dict[str, list[int]], tuned: int = 0) -> None:
        size = count(self._model, self._shape)
        error = wrong(self._model, *self._plan.validation)
        widths = self._wiring.sizes
        row = Row(
            len(self._rows),
            **_figures(size),
            error=error,
            widths=widths,
            removed=removed,
            tuned=tuned,
        )
        self._rows.append(row)
        self._store.save_step(row.step, self._model)
        self._progress({**asdict(row), "removed": sum(map(len, removed.values()))})

    def _forget_now(self, gone: dict[str, list[int]]) -> dict[str, list[int]]:
        """The original numbers of neurons by their numbers now, which are alive no more."""
        removed = {name: [self._alive[name][n] for n in gone[name]] for name in gone}
        self._forget(removed)
        return removed

    def _forget(self, removed: dict[str, list[int]]) -> None:
        for name, numbers in removed.items():
            lost = set(numbers)
            self._alive[name] = [n for n in self._alive[name] if n not in lost]


def _figures(size: Count) -> dict[str, int]:
    return asdict(size)
