"""What every cell of the table needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.data.order import stratified_order
from sfumato.errors import SettingError
from sfumato.robustness.defences import Adversarial
from sfumato.train import Recipe, mlp


@dataclass(frozen=True)
class Setup:
    """The data and the settings that all methods share.

    Args:
        train: records and labels, as arrays that worker processes share.
        test: records and labels.
        classes: class names.
        folder: the run's.
        network: "mlp", the network of spec 4 §4.2, or "cnn", two convolutions with stride.
        widths: of the hidden layers of "mlp".
        recipe: of every training, where a row says nothing else.
        training: by name, the settings of an adversarial training.
        measures: what is measured of every trained network, with its settings.
    """

    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    classes: tuple[str, ...]
    folder: Path
    network: str = "mlp"
    widths: tuple[int, ...] = (1024, 1024, 256)
    recipe: Recipe = field(default_factory=Recipe)
    training: dict[str, dict[str, Any]] = field(default_factory=dict)
    measures: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one record."""
        return tuple(self.train[0].shape[1:])

    def trained_on(self) -> tuple[Tensor, Tensor]:
        """Training records and labels."""
        return torch.from_numpy(self.train[0]), torch.from_numpy(self.train[1])

    def tested(self, count: int | None = None) -> tuple[Tensor, Tensor]:
        """Test records and labels: the same `count` for all methods, every class in proportion."""
        x, labels = torch.from_numpy(self.test[0]), torch.from_numpy(self.test[1])
        if count is None or count >= len(x):
            return x, labels
        chosen = stratified_order(labels, 0)[:count].sort().values
        return x[chosen], labels[chosen]

    def make(self) -> nn.Module:
        """A new network without any defence.

        Raises:
            SettingError: there is no network of this name.
        """
        if self.network == "mlp":
            return mlp(self.shape, len(self.classes), self.widths)
        if self.network == "cnn":
            return strided(self.shape, len(self.classes))
        raise SettingError(f"unknown network {self.network!r}: use 'mlp' or 'cnn'")

    def attack(self, training: str) -> Adversarial:
        """The adversarial training of this name.

        Raises:
            SettingError: the configuration has none of this name.
        """
        if training not in self.training:
            names = ", ".join(["normal", *self.training])
            raise SettingError(f"unknown training {training!r}: the configuration has {names}")
        return Adversarial(**self.training[training])


def strided(shape: tuple[int, ...], classes: int) -> nn.Module:
    """Two convolutions that halve the picture, 100 neurons, and the logits."""
    channels, height, width = shape
    return nn.Sequential(
        nn.Conv2d(channels, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(),
        nn.Flatten(), nn.Linear(32 * (height // 4) * (width // 4), 100), nn.ReLU(),
        nn.Linear(100, classes),
    )  # fmt: skip


def setup_of(config: dict[str, Any], source: str, folder: Path) -> Setup:
    """The settings of a configuration, and the data at `source`."""
    train, test = sf.data.splits(source)
    train = sf.data.take(train, config.get("train_records"))
    test = sf.data.take(test, config.get("test_records"))
    given = config.get("setup", {})
    return Setup(
        (train.inputs.numpy(), train.labels.numpy()),
        (test.inputs.numpy(), test.labels.numpy()),
        train.classes,
        folder,
        given.get("network", "mlp"),
        tuple(given.get("widths", (1024, 1024, 256))),
        Recipe(**given.get("recipe", {})),
        given.get("training", {}),
        config["measures"],
    )
