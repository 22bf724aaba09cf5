"""The cells of the table: one method's way through all budgets, for one seed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from experiments.compression.balanced import Balanced
from experiments.compression.finishing import finished
from experiments.compression.setup import Setup, slug
from experiments.compression.unpruned import STOCHASTIC, plain_network, stochastic_network, task
from sfumato.compression import (
    Budget,
    Entropy,
    Importance,
    Magnitude,
    Pruned,
    Taylor,
    TorchPruning,
    collapse,
    count,
    gated,
    prune,
    remove_gated,
    silent_neurons,
)
from sfumato.compression.gates import VIBLoss
from sfumato.train import BatchLoss, MaxEntropyLoss, derive, seeded, train_classifier

IMPORTANCES: dict[str, type[Importance]] = {
    "entropy": Entropy,
    "taylor": Taylor,
    "magnitude": Magnitude,
    "torch-pruning": TorchPruning,
}
_LIMITS = ("multiplications", "parameters", "activations", "error")


def budget_of(stage: dict[str, Any]) -> Budget:
    """The budget of a stage."""
    return Budget(**{name: stage[name] for name in _LIMITS if name in stage})


def importance_of(method: dict[str, Any]) -> Importance:
    """The importance that a method names."""
    settings = dict(method["importance"])
    kind, power = IMPORTANCES[settings.pop("name")], settings.pop("cost_power", None)
    return kind(**settings) if power is None else Balanced(kind(**settings), power)


def removal(setup: Setup, setting: str, seed: int, method: dict[str, Any]) -> list[dict[str, Any]]:
    """One neuron at a time through all budgets, and the last fine-tuning at each."""
    loss, trained = task(setup, setting, seed), setup.recipe("unpruned").epochs
    if method["start"] == "stochastic":
        terms = {**STOCHASTIC, **method.get("max_entropy", {})}
        model = stochastic_network(setup, setting, seed, **terms)
        tuning: BatchLoss = MaxEntropyLoss(**terms, over="neuron", task=loss)
        trained += setup.recipe("stochastic").epochs
    else:
        model, tuning = plain_network(setup, setting, seed), loss
    inputs = setup.learned[0]
    silent = sum(len(dead) for dead in silent_neurons(model, inputs).values())
    work = setup.folder / "pruning" / setting / slug(method["name"]) / f"seed-{seed}"
    found: list[dict[str, Any]] = []
    removed = 0.0
    for stage in setup.budgets:
        folder = work / slug(stage["name"])
        if not _met(model, setup, stage):
            pruned = _removed(setup, setting, seed, model, method, stage, tuning, folder)
            removed += _epochs(setup, stage, len(pruned.rows) - 1)
            model = pruned.noisy(pruned.step)
        if _reported(stage, setting):
            spent = trained + removed
            found.append(finished(setup, setting, seed, method, stage, collapse(model), spent))
            found[-1]["silent"] = silent
    shutil.rmtree(work, ignore_errors=True)
    return found


def gates(setup: Setup, setting: str, seed: int, method: dict[str, Any]) -> list[dict[str, Any]]:
    """Gates that close as the weight of their divergence grows, until every budget is met."""
    loss, learned = task(setup, setting, seed), setup.learned
    with seeded(seed, "gates"):
        network = gated(plain_network(setup, setting, seed), setup.shape).to(setup.place)
    work = setup.folder / "pruning" / setting / slug(method["name"]) / f"seed-{seed}"
    found: list[dict[str, Any]] = []
    weight, rounds, small = 0.0, 0, network.plain
    recipe = replace(setup.recipe("gates"), epochs=1, min_steps=0, schedule="constant")
    for stage in setup.budgets:
        while not _met(small, setup, stage) and rounds < setup.gates["epochs"]:
            work.mkdir(parents=True, exist_ok=True)
            weight = setup.gates["weight"] * setup.gates["growth"] ** rounds
            train_classifier(
                network, *learned, recipe, seed=derive(seed, "gates", rounds),
                loss=VIBLoss(weight, loss), augment=setup.shifts(setting, seed),
                checkpoint=work / f"round-{rounds:03}.pt",
            )  # fmt: skip
            small, rounds = remove_gated(network), rounds + 1
        if _reported(stage, setting) and _met(small, setup, stage):
            spent = setup.recipe("unpruned").epochs + rounds
            found.append(finished(setup, setting, seed, method, stage, small, spent))
            found[-1]["weight"] = weight
    shutil.rmtree(work, ignore_errors=True)
    return found


def _removed(
    setup: Setup,
    setting: str,
    seed: int,
    model: nn.Module,
    method: dict[str, Any],
    stage: dict[str, Any],
    loss: BatchLoss,
    folder: Path,
) -> Pruned:
    return prune(
        model,
        setup.learned,
        setup.judging,
        budget_of(stage),
        importance=importance_of(method),
        loss=loss,
        steps=stage.get("steps", setup.steps),
        recipe=setup.recipe("tuning"),
        at_once=stage.get("at_once", 1),
        records=setup.records,
        augment=setup.shifts(setting, seed),
        folder=folder,
        save_every=25,
        seed=derive(seed, stage["name"]),
    )


def _reported(stage: dict[str, Any], setting: str) -> bool:
    """Whether the network at this budget is fine-tuned at last, and stands in the table."""
    wanted = stage.get("finish", True)
    return setting in wanted if isinstance(wanted, list) else bool(wanted)


def _met(model: nn.Module, setup: Setup, stage: dict[str, Any]) -> bool:
    budget = budget_of(stage)
    return bool(budget.sizes) and budget.within_size(count(model, setup.shape))


def _epochs(setup: Setup, stage: dict[str, Any], removals: int) -> float:
    steps = removals * stage.get("steps", setup.steps) * setup.recipe("tuning").batch_size
    return steps / (len(setup.train[1]) - setup.validation)
