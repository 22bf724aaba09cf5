"""Stochastic layers: deterministic kernels emit the parameters, the activation is sampled."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar, final

import torch
from torch import Tensor, nn

from sfumato.nn.base import GAUSSIAN
from sfumato.nn.bound import BoundLike
from sfumato.nn.kernels import KernelLayer
from sfumato.nn.operator import LinearOperator, Size, conv_operator
from sfumato.nn.plain import is_assigned, kept
from sfumato.nn.start import start_arguments, take_over
from sfumato.noise import LocationScale, NoiseLaw
from sfumato.noise.base import at_least_float32

Conv = TypeVar("Conv", bound="_StochasticConv")


class _Stochastic(KernelLayer, ABC):
    """Abstract: one kernel for all records.

    The state dict of the plain layer can be loaded: it becomes the first block, the others keep
    their values (on the meta device they have none: that raises a `RuntimeError`).
    """

    def blocks(self, x: Tensor) -> Sequence[Tensor]:
        return self._blocks(self._raw(x))

    def forward(self, x: Tensor, eps: Tensor | None = None) -> Tensor:
        """Pass on a sample.

        Args:
            x: the input, of the shape that the plain torch layer takes.
            eps: the noise to use, of the output's shape; drawn afresh when it is None.

        Returns:
            A sample of the shape that the plain torch layer gives, in the dtype it gives.

        Raises:
            DataError: `x` has the wrong number of axes or channels.
        """
        if self.mode == "mean" and isinstance(self.noise, LocationScale) and not self._observers:
            return self._location(x)
        return self._pass_on(self._raw(x), self.operator.channel_axis, eps)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        *args: Any,
        **kwargs: Any,
    ) -> None:
        outputs, weight = self.operator.outputs, state_dict.get(prefix + "weight")
        if isinstance(weight, Tensor) and weight.shape == (outputs, *self.weight.shape[1:]):
            assign = is_assigned(local_metadata)
            for name, own in self.named_parameters(recurse=False):
                # a plain layer without bias has a location without one
                first = state_dict.get(prefix + name, weight.new_zeros(outputs))
                if isinstance(first, Tensor) and first.shape == (outputs, *own.shape[1:]):
                    rest = kept(own[outputs:], first, assign)
                    state_dict[prefix + name] = torch.cat([first.detach(), rest])
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args, **kwargs)

    def _location(self, x: Tensor) -> Tensor:
        """The mean without the work for the scale: block 0 of the kernel, at the plain cost."""
        self._check_input(x, batched=False)
        bias = None if self.bias is None else self.bias[: self.operator.outputs]
        raw = self.operator.apply(x, self.weight[: self.operator.outputs], bias)
        if self.bound is None:
            return raw
        return self.bound(at_least_float32(raw)).to(raw.dtype)

    def _raw(self, x: Tensor) -> Tensor:
        self._check_input(x, batched=False)
        return self.operator.apply(x, self.weight, self.bias)


@final
class StochasticLinear(_Stochastic):
    """A fully connected stochastic layer (spec 1, eq. 8-10).

    μ = W_μ x + b_μ, σ = softplus(W_σ x + b_σ) + min_scale, h = μ + σ ε. `weight` is
    `[P * out_features, in_features]`: block 0 makes the location, block 1 the raw scale.

    Args:
        in_features: size of the last axis of the input.
        out_features: size of the last axis of the sample.
        bias: learn an additive bias for each parameter.
        noise: the noise law.
        bound: clamp the location to (low, high).
        device: where the parameters live.
        dtype: of the parameters.

    Raises:
        SettingError: a size is below 1.

    Example:
        >>> import torch
        >>> StochasticLinear(8, 4)(torch.zeros(2, 8)).shape
        torch.Size([2, 4])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        noise: NoiseLaw = GAUSSIAN,
        bound: BoundLike = None,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        operator = LinearOperator(in_features, out_features)
        super().__init__(operator, (), bias, noise, bound, device, dtype)

    @classmethod
    def from_module(
        cls,
        module: nn.Linear,
        noise: NoiseLaw = GAUSSIAN,
        bound: BoundLike = None,
        *,
        scale: float | None = None,
    ) -> StochasticLinear:
        """A stochastic layer around a trained one, whose output becomes the location.

        Args:
            module: the trained layer; it is copied.
            noise: a law with a location.
            bound: clamp the location to (low, high).
            scale: start with this scale for every input (a layer without bias gets one, zero for
                the location); a fresh kernel for the scale when None.

        Raises:
            SettingError: `module` is not an `nn.Linear`, or the law has no location.
        """
        layer = cls(**start_arguments(module, nn.Linear, scale), noise=noise, bound=bound)
        take_over(layer, module, scale)
        return layer


class _StochasticConv(_Stochastic, ABC):
    """Abstract: a convolutional stochastic layer in `spatial` dimensions."""

    spatial: ClassVar[int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        noise: NoiseLaw = GAUSSIAN,
        bound: BoundLike = None,
        *,
        padding_mode: str = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        geometry: tuple[Any, ...] = (kernel_size, stride, padding, dilation, groups, padding_mode)
        operator = conv_operator(self.spatial, in_channels, out_channels, *geometry)
        super().__init__(operator, (), bias, noise, bound, device, dtype)

    @classmethod
    def from_module(
        cls: type[Conv],
        module: nn.Module,
        noise: NoiseLaw = GAUSSIAN,
        bound: BoundLike = None,
        *,
        scale: float | None = None,
    ) -> Conv:
        """A stochastic layer around a trained convolution, as `StochasticLinear.from_module`.

        Raises:
            SettingError: `module` is not a convolution in as many dimensions, or the law has no
                location.
        """
        kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[cls.spatial - 1]
        layer = cls(**start_arguments(module, kind, scale), noise=noise, bound=bound)
        take_over(layer, module, scale)
        return layer


@final
class StochasticConv1d(_StochasticConv):
    """`StochasticConv2d` on sequences, `[B, C, L]`."""

    spatial = 1


@final
class StochasticConv2d(_StochasticConv):
    """A convolutional stochastic layer (spec 1, eq. 2-4).

    Each parameter of the law is a convolution of the input with its own kernel; the activation is
    a sample. `weight` is `[P * out_channels, in_channels / groups, *kernel_size]`.

    The arguments are those of `torch.nn.Conv2d`, then `noise` (the noise law) and `bound`
    (clamp the location to (low, high)).

    Raises:
        SettingError: sizes that do not fit each other.

    Example:
        >>> import torch
        >>> StochasticConv2d(1, 4, 3, padding=1)(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 4, 8, 8])
    """

    spatial = 2


@final
class StochasticConv3d(_StochasticConv):
    """`StochasticConv2d` on volumes, `[B, C, D, H, W]`."""

    spatial = 3
