"""The Laplace law."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.distributions import Laplace as LaplaceDistribution

from sfumato.noise.base import Params
from sfumato.noise.location_scale import LocationScale
from sfumato.noise.source import HALF_STEP, Device, Source


@final
@dataclass(frozen=True)
class Laplace(LocationScale):
    """h = μ + b · ε with ε of density exp(-|ε|) / 2. The scale is b; the standard deviation √2 b.

    Args:
        min_scale: the smallest b, in units of the sample.
    """

    def _standard(
        self, shape: Sequence[int], dtype: torch.dtype, device: Device, source: Source
    ) -> Tensor:
        uniform = source.symmetric(shape, dtype, device)
        return -torch.sign(uniform) * torch.log1p(-uniform.abs())

    def _fill(self, out: Tensor) -> Tensor:
        out.uniform_().mul_(2).add_(HALF_STEP[out.dtype] - 1)  # as TorchSource.symmetric
        sign = out.sign()
        return out.abs_().neg_().log1p_().mul_(sign.neg_())

    def distribution(self, params: Params) -> Distribution:
        return LaplaceDistribution(*params, validate_args=False)
