"""The Gaussian law."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal

from sfumato.noise.base import Params
from sfumato.noise.location_scale import LocationScale
from sfumato.noise.source import Device, Source


@final
@dataclass(frozen=True)
class Gaussian(LocationScale):
    """h = μ + σ · ε with ε ~ N(0, 1) (spec 1, eq. 4; spec 3, eq. 7). The scale is σ.

    Args:
        min_scale: the smallest σ, in units of the sample.

    Example:
        >>> import torch
        >>> law = Gaussian(min_scale=0.1)
        >>> params = law.constrain((torch.zeros(3), torch.full((3,), -100.0)))
        >>> params[1]
        tensor([0.1000, 0.1000, 0.1000])
    """

    def _standard(
        self, shape: Sequence[int], dtype: torch.dtype, device: Device, source: Source
    ) -> Tensor:
        return source.normal(shape, dtype, device)

    def _fill(self, out: Tensor) -> Tensor:
        return out.normal_()

    def distribution(self, params: Params) -> Distribution:
        return Normal(*params, validate_args=False)
