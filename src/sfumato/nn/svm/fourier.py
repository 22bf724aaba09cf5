"""Random features whose inner product is the Gaussian kernel."""

from __future__ import annotations

import math
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.errors import DataError, SettingError
from sfumato.nn.base import check_positive
from sfumato.nn.inputs import check_real


@final
class RandomFourierFeatures(nn.Module):
    """z(x) = √(2 / D) cos(Ω x + b) with z(x)·z(y) ≈ exp(-γ |x - y|²) (Rahimi and Recht, 2007).

    The rows of Ω are drawn from N(0, 2 γ I), the Fourier transform of that kernel, and b from
    U(0, 2π), once, from torch's global generator: they are buffers, saved with the state and not
    learned. The error of a kernel value has a standard deviation of at most 1 / √D.

    Args:
        in_features: size of the last axis of the input.
        num_features: D, size of the last axis of the output.
        gamma: γ; 1 / `in_features` when it is None, which suits records of unit variance.
        device: where the buffers live.
        dtype: of the buffers.

    Raises:
        SettingError: a size is below 1, or γ is not above 0.

    Example:
        >>> import torch
        >>> RandomFourierFeatures(8, 256)(torch.zeros(2, 8)).shape
        torch.Size([2, 256])
    """

    frequencies: Tensor
    phases: Tensor

    def __init__(
        self,
        in_features: int,
        num_features: int = 1024,
        gamma: float | None = None,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_positive(in_features=in_features, num_features=num_features)
        self.gamma = 1 / in_features if gamma is None else gamma
        if not 0 < self.gamma < math.inf:
            raise SettingError(f"gamma must be above 0 and finite, not {gamma}")
        rows = torch.empty(num_features, in_features, device=device, dtype=dtype)
        self.register_buffer("frequencies", rows)
        self.register_buffer("phases", torch.empty(num_features, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw Ω and b anew."""
        self.frequencies.normal_(std=math.sqrt(2 * self.gamma))
        self.phases.uniform_(0, 2 * math.pi)

    def forward(self, x: Tensor) -> Tensor:
        """The features `[B, ..., num_features]` of `x` `[B, ..., in_features]`.

        Raises:
            DataError: the last axis of `x` has another size, or `x` is not of real numbers.
        """
        check_features(self, x, self.frequencies.shape[1])
        angle = F.linear(x, self.frequencies, self.phases)
        return math.sqrt(2 / len(self.phases)) * angle.cos()

    def extra_repr(self) -> str:
        """The constructor's arguments, for `print(layer)`."""
        features, inputs = self.frequencies.shape
        return f"in_features={inputs}, num_features={features}, gamma={self.gamma!r}"


def check_features(layer: nn.Module, x: Tensor, width: int) -> None:
    """Raise a `DataError` if `x` is not of real numbers, with a last axis of `width`."""
    name = type(layer).__name__
    check_real(name, x)
    if x.dim() < 1:
        raise DataError(f"{name} needs an input of [B, ..., in], not {list(x.shape)}")
    if x.shape[-1] != width:
        raise DataError(
            f"{name} was made for {width} input features, "
            f"but the input {list(x.shape)} has {x.shape[-1]}"
        )
