"""What depth completion and inpainting share: numbers for every pixel."""

from __future__ import annotations

from abc import ABC
from typing import Literal

import torch
from torch import Tensor

from sfumato.errors import DataError, SettingError
from sfumato.pixels.tasks.base import Task


class Continuous(Task, ABC):
    """Numbers for every pixel; networks see (target - offset) / scale.

    The loss is the squared error of spec 5, page 3, in these units, or the absolute one. Scores:
    `rmse` and `mae`, over all counted pixels of the set, in the targets' own unit.

    Args:
        channels: numbers per pixel.
        scale: what is one for a network; about the spread of the targets.
        offset: what is zero for a network; about their mean.
        error: "squared" or "absolute".
        unit: of the targets, for reports.
    """

    headline = "rmse"
    higher_is_better = False

    def __init__(
        self,
        channels: int,
        scale: float,
        offset: float,
        error: Literal["squared", "absolute"],
        unit: str,
    ) -> None:
        if channels < 1 or not 0 < scale < float("inf") or offset != offset:
            raise SettingError(
                "numbers per pixel need at least one channel and a scale above 0, not "
                f"{channels} channels, scale {scale} and offset {offset}"
            )
        if error not in ("squared", "absolute"):
            raise SettingError(f"unknown error {error!r}: use 'squared' or 'absolute'")
        self._channels = channels
        self.scale = float(scale)
        self.offset = float(offset)
        self.error = error
        self.unit = unit

    @property
    def channels(self) -> int:
        return self._channels

    @property
    def outputs(self) -> int:
        return self._channels

    def encode(self, target: Tensor) -> Tensor:
        return (target - self.offset) / self.scale

    def expand(self, values: Tensor) -> Tensor:
        return values

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        error = prediction - self.encode(target)
        each = error.square() if self.error == "squared" else error.abs()
        return each.mean(1, keepdim=True)

    def decode(self, prediction: Tensor) -> Tensor:
        return prediction * self.scale + self.offset

    def tally(self, prediction: Tensor, target: Tensor, counted: Tensor) -> Tensor:
        """The sums of squared and of absolute errors, and their number: `[3]`."""
        error = (self.decode(prediction) - target).double()
        error = error[counted.expand_as(error)]
        count = error.new_tensor(float(error.numel()))
        return torch.stack([error.square().sum(), error.abs().sum(), count])

    def figures(self, tally: Tensor) -> dict[str, float]:
        squares, sums, count = tally.tolist()
        return {} if not count else {"rmse": (squares / count) ** 0.5, "mae": sums / count}

    def check(self, targets: Tensor, valid: Tensor) -> None:
        wanted = f"[N, {self.channels}, H, W]"
        if targets.dim() != 4 or targets.shape[1] != self.channels:
            raise DataError(f"targets must be {wanted}, not {list(targets.shape)}")
        if not targets.is_floating_point():
            raise DataError(f"targets must be floating point {wanted}, not {targets.dtype}")
        known = targets[valid.expand_as(targets)]
        if not len(known):
            raise DataError("no pixel is valid: there is nothing to learn")
        if not bool(torch.isfinite(known).all()):
            raise DataError("targets hold NaN or infinite values: mark such pixels as not valid")
        if not bool(torch.isfinite(targets).all()):
            raise DataError("targets hold NaN where they are not valid: fill in 0 there")

    def _arguments(self) -> dict[str, object]:
        return {"scale": self.scale, "offset": self.offset, "error": self.error}
