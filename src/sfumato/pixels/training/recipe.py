"""How long and how fast a predictor and its selector learn together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, final

from sfumato.errors import SettingError
from sfumato.pixels.schedules import NoiseSchedule, TemperatureSchedule

CONSTANT = TemperatureSchedule(start=1.0, factor=1.0)
"""1 in every epoch."""
ALWAYS = NoiseSchedule(every=0)
"""Noise in every step."""


@final
@dataclass(frozen=True)
class GainSettings:
    """How a selector learns from pairs of draws.

    Args:
        share: of the predictor's steps, those before; in the others it learns from what the
            selector chooses.
        steps: of the selector; None for as many as the predictor has.
        bound: the loss of a pixel counts at most so much.
        outlier: a cell's gain counts at most so many standard deviations.

    Raises:
        SettingError: a number outside of what it may be.
    """

    share: float = 0.5
    steps: int | None = None
    bound: float = 8.0
    outlier: float = 4.0

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1 or (self.steps is not None and self.steps < 1):
            raise SettingError(
                f"share lies from 0 to 1 and steps is at least 1, not {self.share} and {self.steps}"
            )
        if not (self.bound > 0 and self.outlier > 0):
            raise SettingError(
                f"bound and outlier are above 0, not {self.bound} and {self.outlier}"
            )


@final
@dataclass(frozen=True)
class PixelRecipe:
    """Adam on a cosine for the predictor, and how the selector learns beside it.

    Args:
        steps: optimiser steps of the predictor.
        batch_size: pictures in a step.
        lr: the learning rate of the predictor.
        selector_lr: that of the selector.
        weight_decay: of the predictor.
        balance: in the loss a pixel of a class of frequency f counts f^-balance: more for the mean
            over classes, a little less for the share of right pixels. 0 for all alike, as tasks
            without classes have it in any case.
        learning: how a `Stratified` selector learns: "gains" from pairs of draws, after the
            predictor; "gradient" together with it, straight through the mask. `ExpectedError`
            learns from the predictor's errors, all others by the gradient.
        gains: more about the former.
        warm_up: by the gradient, as are judges, temperature and noise: the share of the steps in
            which the predictor sees random masks alone, so that the selector meets a predictor
            that can use labels.
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
    balance: float = 0.5
    learning: Literal["gains", "gradient"] = "gains"
    gains: GainSettings = GainSettings()
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
        if not 0 <= self.warm_up <= 1 or not (self.weight_decay >= 0 and self.balance >= 0):
            raise SettingError(
                "warm_up is a share of the steps, weight_decay and balance are at least 0, not "
                f"{self.warm_up}, {self.weight_decay} and {self.balance}"
            )
        if self.learning not in ("gains", "gradient"):
            raise SettingError(f"learning is 'gains' or 'gradient', not {self.learning!r}")
        if not 0 < self.judges <= 1:
            raise SettingError(f"judges is a share of the pixels above 0, not {self.judges}")

    def fall(self, step: int) -> float:
        """By how much all learning rates have fallen at `step`: from 1 to 0 along a cosine."""
        return cosine(step, self.steps)

    def warm(self, step: int) -> bool:
        """Whether `step` belongs to the warm-up."""
        return step < self.warm_up * self.steps

    def temperature_at(self, step: int, pictures: int) -> float:
        """The selector's temperature at `step`, with so many pictures in an epoch."""
        return self.temperature(step * min(self.batch_size, pictures) // pictures)


def cosine(step: int, steps: int) -> float:
    """From 1 at the first step to 0 behind the last one."""
    return 0.5 * (1 + math.cos(math.pi * step / steps))
