"""Conditional layers: one set of kernels for each category (spec 2 and 3 §1)."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import Any, ClassVar, final

import torch
from torch import Tensor

from sfumato.nn.base import GAUSSIAN, check_positive
from sfumato.nn.bound import BoundLike
from sfumato.nn.conditional.hard import raw_by_label
from sfumato.nn.conditional.selection import Labels, Selection, holds_shares, read_selection
from sfumato.nn.conditional.soft import raw_by_share
from sfumato.nn.kernels import KernelLayer
from sfumato.nn.operator import LinearOperator, Operator, Size, conv_operator
from sfumato.noise import NoiseLaw, Source


def raw_under(
    operator: Operator,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    selection: Selection,
    draw: bool,
    source: Source,
) -> Tensor:
    """The raw parameters of `x` under a selection of stacked kernels, `weight` `[C, P * out, ...]`.

    Raises:
        DataError: the selection does not fit.
    """
    classes = len(weight)
    space = _space(operator, x, selection)
    reading = read_selection(selection, x.shape[0], classes, space, draw=draw, source=source)
    if isinstance(reading, Labels):
        if reading.index.dim() == 1 or not operator.spatial:
            return raw_by_label(operator, x, weight, bias, reading.index)
        reading = reading.shares(classes)
    return raw_by_share(operator, x, weight, bias, reading)


def _space(operator: Operator, x: Tensor, selection: Selection) -> int:
    """The number of axes along which a selection may vary; steps of a sequence are some."""
    if operator.spatial:
        return operator.spatial
    steps = x.dim() - 2
    if steps > 1 and isinstance(selection, Tensor) and holds_shares(selection):
        return 0 if selection.dim() == 3 else steps  # [B, C, in]: the same at every step
    return steps


class _Conditional(KernelLayer, ABC):
    """Abstract: one fused kernel for each class, `weight` `[C, P * out, in, ...]`."""

    def __init__(
        self,
        num_classes: int,
        operator: Operator,
        bias: bool,
        noise: NoiseLaw,
        bound: BoundLike,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        check_positive(num_classes=num_classes)
        self.num_classes = num_classes
        super().__init__(operator, (num_classes,), bias, noise, bound, device, dtype)

    def blocks(self, x: Tensor, selection: Selection) -> Sequence[Tensor]:
        return self._blocks(self._raw(x, selection))

    def forward(self, x: Tensor, selection: Selection, eps: Tensor | None = None) -> Tensor:
        """Pass on a sample.

        Args:
            x: the input, of the shape that the plain torch layer takes, with a batch axis.
            selection: labels `[B]`; a class map `[B, *spatial]` of integers; a mask
                `[B, C, *spatial]`; π as a float tensor `[B, C]`, `[B, C, *spatial]` or
                `[B, C, channels, *spatial]`; or a `SoftSelection`. The steps of a sequence
                `[B, T, in]` are the space of a fully connected layer: labels `[B, T]`, masks and
                π `[B, C, T]` or `[B, C, in or 1, T]`.
            eps: the noise to use, of the output's shape; drawn afresh when it is None.

        Returns:
            A sample of the shape that the plain torch layer gives.

        Raises:
            DataError: `x` or `selection` has the wrong shape, or a class does not exist.
        """
        return self._pass_on(self._raw(x, selection), self.operator.channel_axis, eps)

    def config(self) -> dict[str, Any]:
        return {"num_classes": self.num_classes, **super().config()}

    def _raw(self, x: Tensor, selection: Selection) -> Tensor:
        self._check_input(x, batched=True)
        draw = self.mode == "sample"
        return raw_under(self.operator, x, self.weight, self.bias, selection, draw, self.source)


@final
class ConditionalLinear(_Conditional):
    """A conditional fully connected layer: h_c ~ law(W_c x + b_c) (spec 2, eq. 4; spec 3 §1.2).

    On a sequence `[B, T, in]` the class may change from step to step: labels `[B, T]`. A step
    passes through the kernels of its class and of no other, at the cost of one class.

    Args:
        num_classes: number of categories C.
        in_features: size of the last axis of the input.
        out_features: size of the last axis of the sample.
        bias: learn an additive bias for each parameter and class.
        noise: the noise law.
        bound: clamp the location to (low, high).
        device: where the parameters live.
        dtype: of the parameters.

    Raises:
        SettingError: a size is below 1.

    Example:
        >>> import torch
        >>> layer = ConditionalLinear(10, 8, 4)
        >>> layer(torch.zeros(2, 8), torch.tensor([3, 7])).shape
        torch.Size([2, 4])
    """

    def __init__(
        self,
        num_classes: int,
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
        super().__init__(num_classes, operator, bias, noise, bound, device, dtype)


class _ConditionalConv(_Conditional, ABC):
    """Abstract: a conditional convolution in `spatial` dimensions."""

    spatial: ClassVar[int]

    def __init__(
        self,
        num_classes: int,
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
        super().__init__(num_classes, operator, bias, noise, bound, device, dtype)


@final
class ConditionalConv1d(_ConditionalConv):
    """`ConditionalConv2d` on sequences, `[B, C, L]`."""

    spatial = 1


@final
class ConditionalConv2d(_ConditionalConv):
    """A conditional convolutional layer (spec 3, eq. 5-7).

    μ_c = x * k_{μ_c}, raw σ_c = x * k_{σ_c}, h_c ~ law(μ_c, softplus(raw σ_c) + min_scale). Under
    a hard selection record b passes through the kernels of its class and of no other, at the cost
    of one class.

    The arguments are `num_classes`, those of `torch.nn.Conv2d`, then `noise` and `bound`.

    Raises:
        SettingError: sizes that do not fit each other.

    Example:
        >>> import torch
        >>> layer = ConditionalConv2d(10, 1, 4, 3, padding=1)
        >>> layer(torch.zeros(2, 1, 8, 8), torch.tensor([3, 7])).shape
        torch.Size([2, 4, 8, 8])
    """

    spatial = 2


@final
class ConditionalConv3d(_ConditionalConv):
    """`ConditionalConv2d` on volumes, `[B, C, D, H, W]`."""

    spatial = 3
