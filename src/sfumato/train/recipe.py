"""How long and how fast a network learns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from sfumato.errors import SettingError


@final
@dataclass(frozen=True)
class Recipe:
    """Adam with a learning rate that falls to zero along a cosine.

    Args:
        epochs: passes over the records.
        min_steps: at least so many optimiser steps, by more epochs, however few records there are.
        batch_size: records in a step.
        lr: the learning rate of the first step.

    Raises:
        SettingError: a number is not above 0.
    """

    epochs: int = 10
    min_steps: int = 300
    batch_size: int = 128
    lr: float = 1e-3

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "lr"):
            if not getattr(self, name) > 0:
                raise SettingError(f"{name} must be above 0, not {getattr(self, name)}")

    def epochs_for(self, records: int) -> int:
        """The number of epochs over `records` records."""
        steps = math.ceil(records / self.batch_size)
        return max(self.epochs, math.ceil(self.min_steps / max(1, steps)))

    def rate(self, step: int, steps: int) -> float:
        """The learning rate at `step` of `steps`."""
        return self.lr * 0.5 * (1 + math.cos(math.pi * step / steps))
