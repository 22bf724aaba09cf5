"""The networks of a seed that all methods start from, and what they teach."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from experiments.compression.setup import Setup
from experiments.compression.teaching import Several, answers, distilled
from sfumato.compression import collapse, stochastic
from sfumato.train import (
    BatchLoss,
    MaxEntropyLoss,
    cross_entropy,
    derive,
    seeded,
    train_classifier,
)

STOCHASTIC = {"weight": 0.01, "margin": 1.386}
"""ω and b = log 4 nats of the network that also teaches."""


def plain_network(setup: Setup, setting: str, seed: int) -> nn.Module:
    """The unpruned network."""
    model, name = setup.fresh(seed), f"{setting}/plain-{seed}"

    def make() -> dict[str, Tensor]:
        _train(setup, model, setting, seed, "unpruned", name, cross_entropy)
        return model.state_dict()

    model.load_state_dict(setup.kept(name, make))
    return model


def stochastic_network(
    setup: Setup, setting: str, seed: int, weight: float, margin: float
) -> nn.Module:
    """The unpruned network with stochastic layers, trained on under max-entropy."""
    plain, name = plain_network(setup, setting, seed), f"{setting}/stochastic-{seed}"
    if {"weight": weight, "margin": margin} != STOCHASTIC:
        name += f",w={weight:g},b={margin:g}"
    with seeded(seed, "stochastic"):
        model = stochastic(plain.cpu()).to(setup.place)

    def make() -> dict[str, Tensor]:
        loss = MaxEntropyLoss(weight, margin, "neuron")
        _train(setup, model, setting, seed, "stochastic", name, loss)
        return model.state_dict()

    model.load_state_dict(setup.kept(name, make))
    return model


def task(setup: Setup, setting: str, seed: int) -> BatchLoss:
    """The loss of all further training: distillation from both unpruned networks, or none."""
    if setup.distillation is None:
        return cross_entropy
    noisy = stochastic_network(setup, setting, seed, **STOCHASTIC)
    both = Several([plain_network(setup, setting, seed), collapse(noisy)]).eval()
    shifts = setup.shifts(setting, seed)
    if setup.teacher == "live":
        return distilled(both, shifts, **setup.distillation)

    def make() -> dict[str, Tensor]:
        return {"answers": answers(both, setup.learned[0], shifts)}

    said = setup.kept(f"{setting}/answers-{seed}", make)["answers"]
    return distilled(said, shifts, **setup.distillation)


def unpruned(setup: Setup, setting: str, seed: int, kind: str) -> dict[str, Any]:
    """A cell: one of the two networks, and the seconds that it took are the file's own."""
    if kind == "plain":
        return setup.errors(plain_network(setup, setting, seed))
    noisy = stochastic_network(setup, setting, seed, **STOCHASTIC)
    task(setup, setting, seed)
    return setup.errors(collapse(noisy))


def _train(
    setup: Setup,
    model: nn.Module,
    setting: str,
    seed: int,
    purpose: str,
    name: str,
    loss: BatchLoss,
) -> None:
    path = setup.folder / "checkpoints" / f"{name}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    shifts = setup.shifts(setting, seed)
    recipe = setup.recipe(purpose)
    train_classifier(
        model, *setup.learned, recipe, seed=derive(seed, purpose), loss=loss, augment=shifts,
        checkpoint=path,
    )  # fmt: skip
