"""Whether two networks give the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

ROUNDING = 1e-4
"""A distance that rounding explains."""


def tensors_of(output: Any) -> list[Tensor]:
    """The tensors in what a network gives: one, or several in a tuple, a list or a dict."""
    if isinstance(output, Tensor):
        return [output]
    values = output.values() if isinstance(output, Mapping) else output
    return [tensor for value in values for tensor in tensors_of(value)]


def distance(found: list[Tensor], wanted: list[Tensor]) -> float:
    """The largest difference, in units of the largest value where that is above 1."""
    apart = [float((a - b).abs().max()) for a, b in zip(found, wanted, strict=True)]
    return max(apart, default=0.0) / max(1.0, *(float(each.abs().max()) for each in wanted))
