"""What every cell of the table needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.label_noise import RECIPE, NoisyLabels
from sfumato.label_noise.noise import LabelNoise
from sfumato.train import Recipe, mlp


@dataclass(frozen=True)
class Setup:
    """The data and the settings that all methods share.

    Args:
        train: records and clean labels, as arrays that worker processes share.
        test: records and clean labels.
        classes: class names.
        widths: of the hidden layers; spec 4 appendix A has 128 and 128.
        recipe: of every stage of every method.
    """

    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    classes: tuple[str, ...]
    widths: tuple[int, ...] = (128, 128)
    recipe: Recipe = field(default_factory=lambda: RECIPE)

    @property
    def inputs(self) -> Tensor:
        """The training records."""
        return torch.from_numpy(self.train[0])

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one record."""
        return tuple(self.train[0].shape[1:])

    def tested(self) -> tuple[Tensor, Tensor]:
        """The test records and their clean labels."""
        return torch.from_numpy(self.test[0]), torch.from_numpy(self.test[1])

    def make(self) -> nn.Module:
        """A new plain network."""
        return mlp(self.shape, len(self.classes), self.widths)

    def noisy(self, law: LabelNoise, seed: int) -> NoisyLabels:
        """The labels of this seed: all methods get the same."""
        labels = torch.from_numpy(self.train[1])
        return law.corrupt(labels, self.inputs, seed=seed, classes=len(self.classes))


def setup_of(config: dict[str, Any], source: str) -> Setup:
    """The settings of a configuration, and the data at `source`."""
    train, test = sf.data.splits(source)
    train = sf.data.take(train, config.get("train_records"))
    test = sf.data.take(test, config.get("test_records"))
    given = config.get("setup", {})
    return Setup(
        (train.inputs.numpy(), train.labels.numpy()),
        (test.inputs.numpy(), test.labels.numpy()),
        train.classes,
        tuple(given.get("widths", (128, 128))),
        Recipe(**given["recipe"]) if "recipe" in given else RECIPE,
    )
