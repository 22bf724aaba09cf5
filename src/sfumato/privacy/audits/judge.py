"""The classifier that says what a reconstruction shows."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from sfumato.data.records import Records
from sfumato.errors import SettingError
from sfumato.train import Recipe, derive, seeded, small_cnn, train_classifier

RECIPE = Recipe(epochs=5)


def judge_of(known: Records, model: nn.Module | None, folder: Path, key: str) -> nn.Module | None:
    """The model where it takes clean records, else a small network trained on the attacker's.

    None where records have a shape that the small network does not take.
    """
    if model is not None and _takes(model, known):
        return model
    try:
        with seeded("judge"):
            network = small_cnn(known.shape, known.num_classes)
    except SettingError:
        return None
    train_classifier(
        network,
        known.inputs,
        known.labels,
        RECIPE,
        seed=derive("judge"),
        checkpoint=folder / f"judge-{key[:12]}.checkpoint",
    )
    return network.eval()


def _takes(model: nn.Module, known: Records) -> bool:
    before = model.training
    try:
        with torch.no_grad(), torch.random.fork_rng():
            logits = model.eval()(known.inputs[:2])
    except (RuntimeError, ValueError, TypeError):
        return False
    finally:
        model.train(before)
    return logits.ndim == 2 and logits.shape[1] >= known.num_classes
