"""What every cell of the table needs, and the networks that cells share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import sfumato as sf
from sfumato.data import Records
from sfumato.data.order import stratified_order
from sfumato.files import atomic, prepare_folder
from sfumato.privacy import DecoderSettings
from sfumato.train import Recipe, derive, seeded, train_classifier


@dataclass(frozen=True)
class Setup:
    """The data and the settings that all methods share.

    Args:
        train: records and labels, as arrays that worker processes share.
        test: records and labels.
        classes: class names.
        folder: where networks are kept.
        fraction: the share of the training records that is clean.
        steps: optimiser steps of a training on the mix, whatever its size.
        clean_steps: optimiser steps of the training on the clean part.
        repeat: how often the clean records come in the mix.
        auxiliary: how many records the attacker has.
        attacked: how many test records are attacked.
        map_steps: of the attack that climbs the posterior, where the scale depends on the record
            and it is the strongest; 0 leaves it out.
        gallery: how many of them stand in the gallery of the linkage attack; 0 leaves it out.
        decoder: the budget of the attacker's network.
    """

    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    classes: tuple[str, ...]
    folder: Path
    fraction: float = 0.05
    steps: int = 1200
    clean_steps: int = 300
    repeat: int = 1
    auxiliary: int = 8000
    attacked: int = 1000
    map_steps: int = 0
    gallery: int = 0
    decoder: DecoderSettings = field(default_factory=DecoderSettings)

    def clean(self, seed: int) -> Records:
        """The clean part."""
        return self._records(self.train, self._order(seed)[: self._count])

    def rest(self, seed: int) -> Records:
        """The records that may be released."""
        return self._records(self.train, self._order(seed)[self._count :])

    def known(self, seed: int) -> Records:
        """The attacker's records."""
        return self._records(self.train, self._order(seed)[self._count :][: self.auxiliary])

    def all_test(self) -> Records:
        """The test records."""
        return self._records(self.test, torch.arange(len(self.test[1])))

    def target(self) -> Records:
        """The attacked ones of the test records."""
        return self.all_test().subset(torch.arange(min(self.attacked, len(self.test[1]))))

    @property
    def _count(self) -> int:
        return round(self.fraction * len(self.train[1]))

    def _order(self, seed: int) -> Tensor:
        return stratified_order(torch.from_numpy(self.train[1]), seed)

    def _records(self, part: tuple[np.ndarray, np.ndarray], index: Tensor) -> Records:
        inputs, labels = (torch.from_numpy(values)[index] for values in part)
        return Records(inputs, labels, self.classes, "table")


class Standardised(nn.Module):
    """The default network behind (x - mean) / std of what it learns from first."""

    mean: Tensor
    std: Tensor

    def __init__(self, like: Tensor, classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", like.mean())
        self.register_buffer("std", like.std().clamp(min=1e-6))
        self.network = sf.train.small_cnn(tuple(like.shape[1:]), classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.network((x - self.mean) / self.std)


def learned(setup: Setup, seed: int, inputs: Tensor, labels: Tensor, steps: int) -> nn.Module:
    """A fresh network, trained on these records."""
    with seeded(seed, "network"):
        model = Standardised(inputs, len(setup.classes))
    return train(model, seed, inputs, labels, steps)


def train(model: nn.Module, seed: int, inputs: Tensor, labels: Tensor, steps: int) -> nn.Module:
    """Train on these records for so many steps."""
    recipe = Recipe(epochs=1, min_steps=steps)
    train_classifier(model, inputs, labels, recipe, seed=derive(seed, "tradeoff"))
    return model


def kept(setup: Setup, name: str, like: Tensor, make: Callable[[], nn.Module]) -> nn.Module:
    """The network of that name, made once and then read from disk."""
    path = prepare_folder(setup.folder / "networks") / f"{name}.safetensors"
    if path.exists():
        model = Standardised(like, len(setup.classes))
        model.load_state_dict(load_file(path))
        return model
    model = make()
    with atomic(path) as part:
        save_file({key: value.contiguous() for key, value in model.state_dict().items()}, part)
    return model


def clean_model(setup: Setup, seed: int) -> nn.Module:
    """The network of the clean part."""
    part = setup.clean(seed)
    return kept(
        setup,
        f"clean-{seed}",
        part.inputs,
        lambda: learned(setup, seed, part.inputs, part.labels, setup.clean_steps),
    )


def full_model(setup: Setup, seed: int) -> nn.Module:
    """The network of the clean part, trained on all records in clear, as long as the others."""
    part, rest = setup.clean(seed), setup.rest(seed)
    inputs = torch.cat([part.inputs.repeat(setup.repeat, *(1,) * len(part.shape)), rest.inputs])
    labels = torch.cat([part.labels.repeat(setup.repeat), rest.labels])
    return kept(
        setup,
        f"full-{seed}",
        part.inputs,
        lambda: train(clean_model(setup, seed), seed, inputs, labels, setup.steps),
    )


def _pooled(records: Records, factor: int) -> Records:
    """Pictures with the mean of so many pixels a side for each."""
    inputs = records.inputs if factor == 1 else F.avg_pool2d(records.inputs, factor)
    return Records(inputs, records.labels, records.classes, records.name)


def setup_of(config: dict[str, Any], source: str, folder: Path) -> Setup:
    """The settings of a configuration, and the data at `source`."""
    train, test = sf.data.splits(source)
    train = sf.data.take(train, config.get("train_records"))
    test = sf.data.take(test, config.get("test_records"))
    train, test = (_pooled(part, config.get("pool", 1)) for part in (train, test))
    settings = dict(config.get("setup", {}))
    decoder = DecoderSettings(**settings.pop("decoder", {}))
    return Setup(
        (train.inputs.numpy(), train.labels.numpy()),
        (test.inputs.numpy(), test.labels.numpy()),
        train.classes,
        folder,
        decoder=decoder,
        **settings,
    )
