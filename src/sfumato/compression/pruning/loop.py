"""Removing one neuron at a time, with fine-tuning, until a budget is met (spec 4 §4.1)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from torch import Tensor, nn

from sfumato.compression.collapsing import collapse
from sfumato.compression.importance import Importance, Taylor
from sfumato.compression.pruning.budget import Budget
from sfumato.compression.pruning.checks import check_data, check_logits
from sfumato.compression.pruning.folder import Folder
from sfumato.compression.pruning.pruned import Pruned, restored
from sfumato.compression.pruning.run import Plan, Run
from sfumato.compression.pruning.tuning import wrong
from sfumato.compression.wiring import Wiring
from sfumato.errors import SettingError
from sfumato.train import BatchLoss, Progress, Recipe, cross_entropy, silent, train_classifier
from sfumato.train.identity import tag_of
from sfumato.train.loop import Augment

TUNING = Recipe(batch_size=128, lr=3e-4, schedule="constant")


def prune(
    model: nn.Module,
    train: tuple[Tensor, Tensor],
    validation: tuple[Tensor, Tensor],
    budget: Budget,
    *,
    importance: Importance | None = None,
    loss: BatchLoss = cross_entropy,
    steps: int = 30,
    recipe: Recipe = TUNING,
    finish: Recipe | None = None,
    batch_stage: bool = True,
    at_once: int = 1,
    records: int = 512,
    patience: int = 10,
    keep: Sequence[str] = (),
    augment: Augment | None = None,
    folder: Path | str | None = None,
    save_every: int = 1,
    seed: int = 0,
    progress: Progress = silent,
) -> Pruned:
    """A smaller network within a budget: spec 4 §4.1's two stages.

    First all neurons go that never fire on the training records, at no loss. Then, again and
    again, the neuron that is missed least goes, and the network learns for some steps. Noise is
    on while a network with stochastic layers learns, and off (the mean path) when importance and
    errors are measured. With `folder`, a run that was interrupted goes on after the last saved
    step, and ends as one that was not, bit by bit.

    Args:
        model: the trained network, plain or with stochastic layers; it is left as it is. For the
            method of spec 4, train `stochastic(model)` with `sfumato.train.MaxEntropyLoss`.
        train: training records `[N, ...]` and their labels `[N]`, whole numbers.
        validation: records and labels held out of the training data, by which the budget's error
            is judged. Never the test records.
        budget: when to stop.
        importance: which neuron is missed least; `Taylor()` when None.
        loss: of the fine-tuning; `MaxEntropyLoss` or `Distillation`, for example.
        steps: of fine-tuning after each removal.
        recipe: batch size, learning rate, schedule (over the steps of one removal) and optimiser
            of the fine-tuning; its epochs have no meaning here.
        finish: how the chosen network is fine-tuned at last; not at all when None.
        batch_stage: whether neurons that never fire go first.
        at_once: neurons removed in one step.
        records: training records by which importance is measured, others at every step.
        patience: so many steps in a row beyond the budget's error end the run.
        keep: names or patterns of layers whose neurons all stay.
        augment: changes training batches, as in `sfumato.train.train_classifier`.
        folder: where the run is kept; a temporary one when None.
        save_every: save where the run is after every so many steps.
        seed: of orders and noise.
        progress: called after every step with the row's figures.

    Returns:
        The plain network, the rows of all steps, and every network on the front.

    Raises:
        DataError: records, labels or weights that cannot be used; a loss that became NaN.
        SettingError: a budget that is met already or cannot be reached; a network that cannot be
            followed or counted; a number out of range.
        StoreError: the folder holds another run, or is damaged.
        OutputError: the folder cannot be written.
        MissingDependency: torch-pruning is not installed.

    Example:
        >>> import torch
        >>> from sfumato.train import mlp
        >>> x = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
        >>> data = x, (x[:, 0] > 0).long()
        >>> pruned = prune(mlp((4,), 2, (6,)), data, data, Budget(multiplications=20), steps=3)
        >>> pruned.row.widths
        {'1': 3}
    """
    settings = {"steps": steps, "at_once": at_once, "records": records, "patience": patience}
    for name, value in {**settings, "save_every": save_every}.items():
        if value < (name != "steps"):
            raise SettingError(f"{name} must be at least {int(name != 'steps')}, not {value}")
    check_data(train, validation)
    train, validation = (train[0], train[1].long()), (validation[0], validation[1].long())
    check_logits(model, train, validation)
    plan = Plan(
        train, validation, budget, importance or Taylor(), loss, recipe, steps, batch_stage,
        at_once, records, patience, augment, save_every, seed,
    )  # fmt: skip
    original = copy.deepcopy(model)
    wiring = Wiring(original, train[0], keep)
    same = replace(plan, save_every=1)  # how often it is saved makes no other run
    store = Folder(folder, tag_of(same, keep, original))
    rows = Run(plan, original, wiring, store, progress).rows()
    step, met = budget.choice(rows)
    chosen, _ = restored(original, wiring, rows, step, store)
    if finish is not None:
        _finish(chosen, plan, finish, store, step, progress)
    error = wrong(chosen, *validation)
    met = met and (budget.error is None or error <= budget.error)
    return Pruned(collapse(chosen).eval(), step, met, error, rows, original, store, wiring)


def _finish(
    model: nn.Module, plan: Plan, recipe: Recipe, store: Folder, step: int, progress: Progress
) -> None:
    tag = tag_of(asdict(recipe), step)
    train_classifier(
        model,
        *plan.train,
        recipe,
        seed=plan.seed,
        loss=plan.loss,
        augment=plan.augment,
        checkpoint=store.path / f"finish-{tag}.pt",
        progress=progress,
    )
