"""The check of what a kernel is about to act on."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from sfumato.errors import DataError
from sfumato.nn.operator import Operator


def check_real(name: str, x: Any) -> None:
    """Raise a `DataError` unless `x`, which `name` reads, is a tensor of real numbers."""
    if not isinstance(x, Tensor):
        raise DataError(f"{name} reads a tensor, not {type(x).__name__}: use torch.as_tensor")
    if not x.is_floating_point():
        raise DataError(
            f"{name} reads real numbers, not {x.dtype}: convert the input first, by x.float(), or "
            "by x / 255 for pictures of bytes"
        )


def check_input(name: str, operator: Operator, x: Tensor, *, batched: bool) -> None:
    """Raise a `DataError` if `x` does not fit the kernel of the layer called `name`."""
    check_real(name, x)
    axis, axes = operator.channel_axis, 2 + operator.spatial
    enough = x.dim() >= axes if operator.spatial == 0 else x.dim() == axes
    if not (enough or (not batched and x.dim() == axes - 1)):
        shape = "[B, ..., in]" if operator.spatial == 0 else f"{axes} axes [B, C, ...]"
        raise DataError(f"{name} needs an input of {shape}, not {list(x.shape)}")
    if x.shape[axis] != operator.inputs:
        raise DataError(
            f"{name} was made for {operator.inputs} input "
            f"{'features' if operator.spatial == 0 else 'channels'}, "
            f"but the input {list(x.shape)} has {x.shape[axis]}"
        )
