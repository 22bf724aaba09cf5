"""Small runs of pruning, in this process or in one that is killed."""

from __future__ import annotations

import copy
import os
import signal
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sfumato.compression import Budget, Pruned, prune, stochastic
from sfumato.train import MaxEntropyLoss, Recipe, cross_entropy, mlp, seeded, train_classifier
from tests.compression.models import problem

TRAIN, VALIDATION = problem(), problem(61)
RECIPE = Recipe(batch_size=16, lr=3e-3)
NOISY_LOSS = MaxEntropyLoss(0.01, 1.0, "neuron")


def trained(noisy: bool = False) -> nn.Module:
    """A network of 8 and 6 hidden neurons with a batch norm, trained for a moment."""
    return copy.deepcopy(_trained(noisy))


@cache
def _trained(noisy: bool) -> nn.Module:
    with seeded("trained", noisy):
        plain = mlp((6,), 3, (8, 6))
        layers = [*plain]  # type: ignore[misc]
        model: nn.Module = nn.Sequential(*layers[:2], nn.BatchNorm1d(8), *layers[2:])
        model = stochastic(model) if noisy else model
    loss = NOISY_LOSS if noisy else cross_entropy
    train_classifier(model, *TRAIN, Recipe(epochs=4, min_steps=40, lr=1e-2), seed=0, loss=loss)
    return model


def run(folder: Path | None = None, noisy: bool = True, **settings: Any) -> Pruned:
    """A run with settings that a test may change."""
    usual: dict[str, Any] = {
        "budget": Budget(multiplications=40),
        "loss": NOISY_LOSS if noisy else cross_entropy,
        "recipe": RECIPE,
        "steps": 3,
        "records": 40,
        "folder": folder,
    }
    model = settings.pop("model", None) or trained(noisy)
    data = settings.pop("train", TRAIN), settings.pop("validation", VALIDATION)
    return prune(model, *data, **{**usual, **settings})


def killed(folder: str, step: int) -> None:
    """Run, and be killed without a word after a step."""

    def progress(row: dict[str, Any]) -> None:
        if row.get("step") == step:
            os.kill(os.getpid(), signal.SIGKILL)

    torch.set_num_threads(1)
    run(Path(folder), progress=progress, finish=FINISH)


FINISH = Recipe(epochs=3, min_steps=1, batch_size=40)


if __name__ == "__main__":
    import sys

    killed(sys.argv[1], int(sys.argv[2]))
