"""Gaussian noise of one fixed scale in front of a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor

from sfumato.errors import SettingError
from sfumato.nn.base import StochasticModule
from sfumato.noise import Gaussian, Params, raw_scale
from sfumato.noise.base import at_least_float32

TINY = 1e-6


@final
class GaussianFront(StochasticModule):
    """h = x + σ ε, ε ~ N(0, 1), for records of any shape; nothing of it is learned.

    Args:
        sigma: σ, in units of the records.

    Raises:
        SettingError: σ is not a number above 0.
    """

    def __init__(self, sigma: float) -> None:
        if not TINY < sigma < float("inf"):
            raise SettingError(f"sigma must be a number above 0, not {sigma}")
        super().__init__(Gaussian(min_scale=TINY))
        self.sigma = float(sigma)

    def config(self) -> dict[str, Any]:
        return {"sigma": self.sigma}

    def blocks(self, x: Tensor) -> Sequence[Tensor]:
        return x, torch.full_like(at_least_float32(x), raw_scale(self.sigma, TINY))

    def params(self, x: Tensor) -> Params:
        # not by way of the raw value, whose rounding would be the certificate's
        location = at_least_float32(x)
        return location, torch.full_like(location, self.sigma)

    def forward(self, x: Tensor, eps: Tensor | None = None) -> Tensor:
        """A sample of the shape of `x`, `[B, ...]`."""
        return self._emit(self.params(x), x, eps)
