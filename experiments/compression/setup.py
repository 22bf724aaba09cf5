"""What every cell of the table needs: data, recipes, and the networks that cells share."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import sfumato as sf
from experiments.compression.shifts import Shifts
from sfumato import train as networks
from sfumato.data.order import stratified_order
from sfumato.files import atomic, prepare_folder
from sfumato.train import Recipe, accuracy, seeded

Records = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Setup:
    """The data and the settings that all methods share.

    Args:
        train: records and labels, as arrays that worker processes share.
        test: records and labels, which only the last error of a network is measured on.
        classes: their number.
        folder: where networks are kept.
        network: name of a factory in `sfumato.train`.
        network_settings: further arguments of it.
        validation: training records that are held out; all choices are made by them.
        judged: so many of them give the error after every removal.
        device: where networks and records are; "auto" takes a GPU if there is one.
        recipes: by purpose: `unpruned`, `stochastic`, `tuning`, `finish`, `gates`.
        steps: of fine-tuning after every removal, where a budget does not say otherwise.
        records: by which importance is measured.
        distillation: weight and temperature; None for no distillation.
        teacher: "table" for answers that are kept, "live" for those made at every step.
        changes: by the name of a setting, the changes of training pictures (`Shifts`).
        budgets: the stages of a removal, from large to small.
        gates: weight of the divergence at first, its growth at every epoch, and most epochs.
    """

    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    classes: int
    folder: Path
    network: str = "lenet5"
    network_settings: dict[str, Any] = field(default_factory=dict)
    validation: int = 5000
    judged: int = 2000
    device: str = "auto"
    recipes: dict[str, dict[str, Any]] = field(default_factory=dict)
    steps: int = 30
    records: int = 512
    distillation: dict[str, float] | None = None
    teacher: str = "table"
    changes: dict[str, dict[str, Any]] = field(default_factory=lambda: {"plain": {}})
    budgets: tuple[dict[str, Any], ...] = ()
    gates: dict[str, float] = field(default_factory=dict)

    @property
    def place(self) -> torch.device:
        """Where networks and records are."""
        if self.device != "auto":
            return torch.device(self.device)
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one record."""
        return tuple(self.train[0].shape[1:])

    @cached_property
    def learned(self) -> Records:
        """The records that networks learn from."""
        return self._records(self.train, self._order[self.validation :])

    @cached_property
    def held_out(self) -> Records:
        """The validation records."""
        return self._records(self.train, self._order[: self.validation])

    @property
    def judging(self) -> Records:
        """The first of the validation records: they give the error after every removal."""
        inputs, labels = self.held_out
        return inputs[: self.judged], labels[: self.judged]

    @cached_property
    def tested(self) -> Records:
        """The test records."""
        return self._records(self.test, torch.arange(len(self.test[1])))

    def recipe(self, purpose: str) -> Recipe:
        """How networks are trained for a purpose."""
        return Recipe(**self.recipes.get(purpose, {}))

    def shifts(self, setting: str, seed: int) -> Shifts:
        """The changes of training pictures under a setting."""
        return Shifts(**self.changes[setting], seed=seed)

    def fresh(self, seed: int) -> nn.Module:
        """The network before any training."""
        factory: Callable[..., nn.Module] = getattr(networks, self.network)
        with seeded(seed, "network"):
            return factory(self.shape, self.classes, **self.network_settings).to(self.place)

    def errors(self, model: nn.Module) -> dict[str, float]:
        """Shares of the validation and of the test records that a plain network gets wrong."""
        parts = {"validation": self.held_out, "error": self.tested}
        return {name: 1 - accuracy(model, *part) for name, part in parts.items()}

    def kept(self, name: str, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """The tensors of that name: made once, then read."""
        path = self.folder / "kept" / f"{name}.safetensors"
        if not path.exists():
            prepare_folder(path.parent)
            made = {key: value.detach().cpu().contiguous() for key, value in make().items()}
            with atomic(path) as part:
                save_file(made, part)
        return load_file(path, device=str(self.place))

    @cached_property
    def _order(self) -> Tensor:
        return stratified_order(torch.from_numpy(self.train[1]), 0)

    def _records(self, part: tuple[np.ndarray, np.ndarray], rows: Tensor) -> Records:
        inputs, labels = (torch.from_numpy(values)[rows] for values in part)
        return inputs.to(self.place), labels.to(self.place)


def slug(name: str) -> str:
    """A name as part of a path."""
    return re.sub(r"[^a-z0-9.=]+", "-", name.lower()).strip("-")


def setup_of(config: dict[str, Any], source: str, folder: Path) -> Setup:
    """The settings of a configuration, and the data at `source`."""
    train, test = sf.data.splits(source)
    train = sf.data.take(train, config.get("train_records"))
    test = sf.data.take(test, config.get("test_records"))
    settings = dict(config.get("setup", {}))
    inputs = [part.inputs for part in (train, test)]
    if "size" in settings:
        inputs = [_enlarged(x, settings["size"]) for x in inputs]
        del settings["size"]
    return Setup(
        (inputs[0].numpy(), train.labels.numpy()),
        (inputs[1].numpy(), test.labels.numpy()),
        len(train.classes),
        folder,
        changes=config["settings"],
        budgets=tuple(config["budgets"]),
        **settings,
    )


def _enlarged(x: Tensor, size: int) -> Tensor:
    """Pictures `[N, C, size, size]`, each pixel repeated: for the embedded digits."""
    return torch.nn.functional.interpolate(x, (size, size), mode="nearest")
