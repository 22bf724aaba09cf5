"""Laws of the form location + scale · ε."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato.errors import SettingError
from sfumato.noise.base import NoiseLaw, Params, at_least_float32
from sfumato.noise.fused import fused_draw
from sfumato.noise.source import TORCH, Device, Source


@dataclass(frozen=True)
class LocationScale(NoiseLaw):
    """A law whose sample is h = location + scale · ε (spec 1, eq. 4; spec 3, eq. 7).

    The parameters are (location, scale) with scale = softplus(raw) + `min_scale` (spec 4, eq. 1):
    a convolution can be negative, a scale cannot.

    Args:
        min_scale: the smallest scale there can be, in units of the sample; above 0.

    Raises:
        SettingError: `min_scale` is not above 0.
    """

    min_scale: float = 1e-3
    num_params: ClassVar[int] = 2

    def __post_init__(self) -> None:
        if not 0 < self.min_scale < float("inf"):
            raise SettingError(f"min_scale must be above 0 and finite, not {self.min_scale}")

    @abstractmethod
    def _standard(
        self, shape: Sequence[int], dtype: torch.dtype, device: Device, source: Source
    ) -> Tensor:
        """Draws of location 0 and scale 1."""

    def constrain(self, raw: Sequence[Tensor]) -> Params:
        location, raw_scale = (at_least_float32(block) for block in raw)
        return location, F.softplus(raw_scale) + self.min_scale

    def draw(
        self,
        shape: Sequence[int],
        *,
        dtype: torch.dtype = torch.float32,
        device: Device = None,
        source: Source = TORCH,
    ) -> Tensor:
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        return self._standard(shape, wide, device, source)

    def transform(self, params: Params, eps: Tensor) -> Tensor:
        location, scale = params
        return torch.addcmul(location, scale, eps)

    def draw_from(self, raw: Tensor, axis: int) -> Tensor:
        if raw.dtype not in (torch.float32, torch.float64):
            return super().draw_from(raw, axis)
        return fused_draw(raw, axis, self.min_scale, self._fill)

    def _fill(self, out: Tensor) -> Tensor:
        """Overwrite `out` with standard draws from torch's generator."""
        return out.copy_(self._standard(out.shape, out.dtype, out.device, TORCH))

    def mean(self, params: Params) -> Tensor:
        return params[0]

    def log_scale(self, params: Params) -> Tensor:
        return params[1].log()

    def config(self) -> dict[str, Any]:
        return asdict(self)


def raw_scale(scale: float, min_scale: float) -> float:
    """The raw value that `constrain` turns into `scale`.

    Raises:
        SettingError: `scale` is not above `min_scale`, or not finite.
    """
    if not scale > min_scale:
        raise SettingError(f"a scale of {scale} is not above min_scale = {min_scale}")
    if not scale < float("inf"):
        raise SettingError(f"a scale must be finite, not {scale}")
    excess = torch.tensor(scale - min_scale, dtype=torch.float64)
    return float(excess + torch.log(-torch.expm1(-excess)))
