"""How long and how fast a network learns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, final

from torch import nn, optim

from sfumato.errors import SettingError


@final
@dataclass(frozen=True)
class Recipe:
    """Which optimiser, how long and how fast; as it is, Adam and a rate that falls to zero.

    Args:
        epochs: passes over the records.
        min_steps: at least so many optimiser steps, by more epochs, however few records there are.
        batch_size: records in a step.
        lr: the learning rate of the first step.
        schedule: the learning rate falls to zero along a cosine, or stays.
        optimizer: Adam, or stochastic gradient descent with Nesterov momentum 0.9.
        weight_decay: of every parameter, as torch's optimisers take it.

    Raises:
        SettingError: a number is not above 0, or a name is unknown.
    """

    epochs: int = 10
    min_steps: int = 300
    batch_size: int = 128
    lr: float = 1e-3
    schedule: Literal["cosine", "constant"] = "cosine"
    optimizer: Literal["adam", "sgd"] = "adam"
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "lr"):
            if not getattr(self, name) > 0:
                raise SettingError(f"{name} must be above 0, not {getattr(self, name)}")
        if not self.weight_decay >= 0:
            raise SettingError(f"weight_decay must be at least 0, not {self.weight_decay}")
        if self.schedule not in ("cosine", "constant"):
            raise SettingError(f"unknown schedule {self.schedule!r}: use 'cosine' or 'constant'")
        if self.optimizer not in ("adam", "sgd"):
            raise SettingError(f"unknown optimizer {self.optimizer!r}: use 'adam' or 'sgd'")

    def epochs_for(self, records: int) -> int:
        """The number of epochs over `records` records."""
        steps = math.ceil(records / self.batch_size)
        return max(self.epochs, math.ceil(self.min_steps / max(1, steps)))

    def rate(self, step: int, steps: int) -> float:
        """The learning rate at `step` of `steps`."""
        if self.schedule == "constant":
            return self.lr
        return self.lr * 0.5 * (1 + math.cos(math.pi * step / steps))

    def optimizer_for(self, model: nn.Module) -> optim.Optimizer:
        """The optimiser of all parameters of `model`."""
        parameters = list(model.parameters())
        if self.optimizer == "adam":
            return optim.Adam(parameters, lr=self.lr, weight_decay=self.weight_decay)
        return optim.SGD(
            parameters, lr=self.lr, momentum=0.9, nesterov=True, weight_decay=self.weight_decay
        )
