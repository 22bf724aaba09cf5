"""How long and how fast a predictor and its selector learn together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from sfumato.errors import SettingError
from sfumato.pixels.schedules import NoiseSchedule, TemperatureSchedule

CONSTANT = TemperatureSchedule(start=1.0, factor=1.0)
"""1 in every epoch."""
ALWAYS = NoiseSchedule(every=0)
"""Noise in every step."""


@final
@dataclass(frozen=True)
class PixelRecipe:
    """Adam on a cosine for the predictor; the selector joins after a warm-up.

    Args:
        steps: optimiser steps.
        batch_size: pictures in a step.
        lr: the learning rate of the predictor.
        selector_lr: that of the selector.
        weight_decay: of the predictor.
        warm_up: the share of the steps in which the predictor sees random masks alone, so that
            the selector meets a predictor that can use labels.
        judges: the share of the pixels whose loss counts in a step of a learned selector; the
            gradient passes through the mask of the others. 1 for all, and for both.
        mirror: exchange left and right at random.
        temperature: of a learned selector, by epochs over the scenes; a selector without a
            temperature leaves it out.
        noise: in which steps a learned selector draws, and in which it is without noise.
        checkpoint_every: steps between two checkpoints, which are also the steps between two calls
            of `progress`.

    Raises:
        SettingError: a number outside of what it may be.
    """

    steps: int = 600
    batch_size: int = 8
    lr: float = 3e-3
    selector_lr: float = 3e-3
    weight_decay: float = 0.0
    warm_up: float = 1 / 3
    judges: float = 0.5
    mirror: bool = True
    temperature: TemperatureSchedule = CONSTANT
    noise: NoiseSchedule = ALWAYS
    checkpoint_every: int = 50

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "lr", "selector_lr", "checkpoint_every"):
            if not getattr(self, name) > 0:
                raise SettingError(f"{name} must be above 0, not {getattr(self, name)}")
        if not 0 <= self.warm_up <= 1 or not self.weight_decay >= 0:
            raise SettingError(
                f"warm_up is a share of the steps and weight_decay at least 0, not {self.warm_up} "
                f"and {self.weight_decay}"
            )
        if not 0 < self.judges <= 1:
            raise SettingError(f"judges is a share of the pixels above 0, not {self.judges}")

    def fall(self, step: int) -> float:
        """By how much all learning rates have fallen at `step`: from 1 to 0 along a cosine."""
        return 0.5 * (1 + math.cos(math.pi * step / self.steps))

    def warm(self, step: int) -> bool:
        """Whether `step` belongs to the warm-up."""
        return step < self.warm_up * self.steps

    def temperature_at(self, step: int, pictures: int) -> float:
        """The selector's temperature at `step`, with so many pictures in an epoch."""
        return self.temperature(step * min(self.batch_size, pictures) // pictures)
