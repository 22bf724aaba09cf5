"""The last fine-tuning of small networks, and the same ones from new weights."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from experiments.compression.setup import Setup, slug
from experiments.compression.unpruned import task
from sfumato.compression import count, load_network, save_network
from sfumato.train import BatchLoss, Recipe, cross_entropy, derive, seeded, train_classifier


def finished(
    setup: Setup,
    setting: str,
    seed: int,
    method: dict[str, Any],
    stage: dict[str, Any],
    model: nn.Module,
    spent: float,
) -> dict[str, Any]:
    """The figures of a small network after its last fine-tuning; it is saved.

    Args:
        setup: what all methods share.
        setting: the changes of training pictures.
        seed: of the run.
        method: by which it became small.
        stage: the budget that it meets.
        model: the network, plain.
        spent: epochs that it has learned so far.
    """
    before = setup.errors(model)["validation"]
    small, recipe = copy.deepcopy(model), setup.recipe("finish")
    name = f"{slug(method['name'])}-{slug(stage['name'])}"
    _fit(setup, setting, seed, small, recipe, task(setup, setting, seed), name)
    folder = _place(setup, setting, seed, method["name"], stage["name"])
    save_network(small.cpu(), folder, like=setup.fresh(seed).cpu(), input_shape=setup.shape)
    small.to(setup.place)
    figures = _figures(setup, small, stage["name"], spent + recipe.epochs)
    return {**figures, "before": before}


def _fit(
    setup: Setup,
    setting: str,
    seed: int,
    model: nn.Module,
    recipe: Recipe,
    loss: BatchLoss,
    name: str,
) -> None:
    """The last fine-tuning, the same for all methods."""
    path = setup.folder / "checkpoints" / setting / f"{name}-{seed}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    train_classifier(
        model, *setup.learned, recipe, seed=derive(seed, "finish"), loss=loss,
        augment=setup.shifts(setting, seed), checkpoint=path,
    )  # fmt: skip


def _figures(setup: Setup, model: nn.Module, budget: str, epochs: float) -> dict[str, Any]:
    size = count(model, setup.shape)
    widths = [
        part.out_features if isinstance(part, nn.Linear) else part.out_channels
        for part in model.modules()
        if isinstance(part, nn.Linear | nn.Conv2d)
    ]
    return {
        "budget": budget,
        "multiplications": size.multiplications,
        "parameters": size.parameters,
        "activations": size.activations,
        "widths": widths[:-1],
        "epochs": epochs,
        **setup.errors(model),
    }


def scratch(
    setup: Setup, setting: str, seed: int, of: str, distilled: bool, stages: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """A cell: the networks of a method, from new weights, for as many epochs as it had."""
    loss = task(setup, setting, seed) if distilled else cross_entropy
    name = f"scratch, distilled={distilled}"
    found = []
    for stage in stages:
        small = load_network(
            setup.fresh(seed).cpu(), _place(setup, setting, seed, of, stage["name"])
        )
        model = _anew(small, setup, seed, name, stage["name"])
        recipe = replace(setup.recipe("finish"), epochs=round(stage["epochs"]))
        state = f"{slug(name)}-{slug(of)}-{slug(stage['name'])}"
        _fit(setup, setting, seed, model, recipe, loss, state)
        found.append(_figures(setup, model, stage["name"], stage["epochs"]))
    return found


def _place(setup: Setup, setting: str, seed: int, method: str, budget: str) -> Path:
    return setup.folder / "networks" / setting / slug(method) / slug(budget) / f"seed-{seed}"


def _anew(small: nn.Module, setup: Setup, seed: int, *name: str) -> nn.Module:
    """The same network with new weights."""
    model = copy.deepcopy(small).cpu()
    with seeded(seed, *name):
        for part in model.modules():
            if hasattr(part, "reset_parameters"):
                part.reset_parameters()  # type: ignore[operator]
    return model.to(setup.place).train()
