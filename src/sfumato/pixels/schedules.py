"""When noise is left out, and how the temperature falls: plain numbers, for any training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from sfumato.errors import SettingError


@final
@dataclass(frozen=True)
class NoiseSchedule:
    """Every n-th step is made without noise (spec 5, "Noise Scheduling").

    Steps count from 1, so that the first one has noise.

    Args:
        every: n; 1 for no noise at all, 0 for noise at every step.

    Raises:
        SettingError: `every` is below 0.

    Example:
        >>> schedule = NoiseSchedule(every=5)
        >>> [step for step in range(1, 13) if not schedule.noisy(step)]
        [5, 10]
        >>> schedule.mode(5)  # for sf.sampling(selector, ...)
        'mean'
    """

    every: int = 5

    def __post_init__(self) -> None:
        if self.every < 0:
            raise SettingError(f"every n-th step: n must be 0 or more, not {self.every}")

    def noisy(self, step: int) -> bool:
        """Whether this step has noise; `step` counts from 1."""
        return not self.every or step % self.every != 0

    def mode(self, step: int) -> Literal["sample", "mean"]:
        """The same as a mode of `sfumato.sampling`."""
        return "sample" if self.noisy(step) else "mean"


@final
@dataclass(frozen=True)
class TemperatureSchedule:
    """τ = max(start · factor^epoch, lowest) (spec 5, "Temperature Scheduling").

    Args:
        start: at epoch 0; 10 in the source.
        factor: by which it changes with every epoch; 0.9 in the source.
        lowest: where it stops; the source has no such end, and after 100 epochs a gradient that
            is 0 almost everywhere.

    Raises:
        SettingError: a number that is not above 0, or a factor above 1.

    Example:
        >>> schedule = TemperatureSchedule(start=10, factor=0.9, lowest=0.5)
        >>> [round(schedule(epoch), 2) for epoch in (0, 1, 2, 100)]
        [10.0, 9.0, 8.1, 0.5]
    """

    start: float = 10.0
    factor: float = 0.9
    lowest: float = 0.1

    def __post_init__(self) -> None:
        if not (0 < self.start < float("inf") and 0 < self.factor <= 1 and self.lowest > 0):
            raise SettingError(
                "a temperature starts above 0, is multiplied by a factor of at most 1 and ends "
                f"above 0; not start {self.start}, factor {self.factor}, lowest {self.lowest}"
            )

    def __call__(self, epoch: int) -> float:
        """The temperature of this epoch; `epoch` counts from 0."""
        return max(self.start * self.factor**epoch, self.lowest)
