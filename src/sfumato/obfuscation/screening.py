"""Screening: hide random parts of released records at every training step (spec 3 §4.1)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, final

import torch
from torch import Tensor

from sfumato.errors import SettingError

Schedule: TypeAlias = Literal["constant", "rising", "falling", "cosine"]

_FACTORS: dict[Schedule, Callable[[float], float]] = {
    "constant": lambda _: 1.0,
    "rising": lambda progress: progress,
    "falling": lambda progress: 1 - progress,
    "cosine": lambda progress: 0.5 * (1 + math.cos(math.pi * progress)),
}


@final
@dataclass(frozen=True)
class Screening:
    """Hide boxes of random place in released records, afresh at every step.

    What a layer learned from 5 % of the records is biased towards them; a model that never sees a
    release whole leans less on that bias.

    Args:
        share: the side of a box as a share of the record's side, in [0, 1]; 0 hides nothing.
        boxes: how many boxes.
        fill: the value of a hidden element.
        schedule: how the share changes while a training progresses, see `at`: `"constant"`;
            `"rising"`, from nothing to `share` along a line, so that the model first learns from
            whole releases; `"falling"`, the other way, so that it ends with them; `"cosine"`, which
            falls as the learning rate does.

    Raises:
        SettingError: a number out of range, or an unknown schedule.
    """

    share: float = 0.25
    boxes: int = 1
    fill: float = 0.0
    schedule: Schedule = "constant"

    def __post_init__(self) -> None:
        if self.schedule not in _FACTORS:
            raise SettingError(
                f"unknown schedule {self.schedule!r}: use {', '.join(map(repr, _FACTORS))}"
            )
        if not 0 <= self.share <= 1 or self.boxes < 0:
            raise SettingError(
                f"screening needs a share in [0, 1] and boxes >= 0, not {self.share}, {self.boxes}"
            )

    def at(self, progress: float) -> Screening:
        """The screening at one moment of a training, with a share that no longer changes.

        Args:
            progress: the part of the training that is behind, in [0, 1].

        Raises:
            SettingError: `progress` is out of range.
        """
        if not 0 <= progress <= 1:
            raise SettingError(f"the progress of a training lies in [0, 1], not {progress}")
        # Rounding may leave [0, 1] by a hair.
        share = min(1.0, max(0.0, self.share * _FACTORS[self.schedule](progress)))
        return replace(self, share=share, schedule="constant")

    def __call__(self, x: Tensor, released: Tensor) -> Tensor:
        """Screen the records of a batch that are releases, with the whole share.

        Args:
            x: `[B, C, *spatial]`, or `[B, F]` where a box is a stretch of features.
            released: `[B]`, True for releases; clean records stay whole.

        Returns:
            A changed copy of `x`.
        """
        hidden = torch.zeros(len(x), *x.shape[2:] or x.shape[1:], dtype=torch.bool, device=x.device)
        for _ in range(self.boxes if self.share > 0 else 0):
            hidden |= self._box(hidden)
        hidden &= released.reshape(-1, *(1,) * (hidden.dim() - 1))
        return x.masked_fill(hidden if x.dim() == 2 else hidden.unsqueeze(1), self.fill)

    def _box(self, like: Tensor) -> Tensor:
        inside = torch.ones_like(like)
        for axis, size in enumerate(like.shape[1:], start=1):
            side = max(1, round(self.share * size))
            # Places run past the rims, so that rim and centre are hidden equally often.
            low = torch.randint(1 - side, size, (len(like),), device=like.device)
            place = torch.arange(size, device=like.device)
            within = (place >= low.unsqueeze(1)) & (place < low.unsqueeze(1) + side)
            shape = [len(like)] + [1] * (like.dim() - 1)
            shape[axis] = size
            inside = inside & within.reshape(shape)
        return inside
