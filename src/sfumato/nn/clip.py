"""Clipping the norm of a record, so that any two lie within a known distance."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.noise.base import at_least_float32


@final
class ClipNorm(nn.Module):
    """y = x · min(1, C / ‖x‖₂) for each record: any two outputs are at most 2 C apart.

    It holds whatever comes in: rounding is on the safe side, half precision is widened, and a
    record whose norm is not finite becomes 0.

    Args:
        radius: C, the largest Euclidean norm of an output.

    Raises:
        SettingError: the radius is not above 0 and finite.

    Example:
        >>> ClipNorm(1.0)(torch.tensor([[0.3, 0.4], [3.0, 4.0]])).norm(dim=1).round(decimals=4)
        tensor([0.5000, 1.0000])
    """

    def __init__(self, radius: float) -> None:
        super().__init__()
        if not 0 < radius < float("inf"):
            raise SettingError(f"the radius must be above 0 and finite, not {radius}")
        self.radius = float(radius)

    def forward(self, x: Tensor) -> Tensor:
        """Records `[B, ...]`, each within the radius, in at least float32."""
        x = at_least_float32(x)
        flat = x.flatten(1)
        # A norm of n numbers is off by at most n + 8 roundings, summed in whatever order.
        safe = self.radius * (1 - (flat.shape[1] + 8) * torch.finfo(x.dtype).eps)
        norm = torch.linalg.vector_norm(flat, dim=1, keepdim=True)
        clipped = flat * (safe / norm.clamp(min=safe))
        kept = torch.where(norm.isfinite(), clipped, torch.zeros_like(clipped))
        return kept.reshape(x.shape)

    def extra_repr(self) -> str:
        """The radius, for `print(module)`."""
        return f"radius={self.radius}"
