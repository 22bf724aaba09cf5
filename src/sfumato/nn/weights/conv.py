"""Convolutional Bayesian layers."""

from __future__ import annotations

from abc import ABC
from typing import Any, ClassVar, TypeVar, final

import torch
from torch import nn

from sfumato.nn.base import GAUSSIAN
from sfumato.nn.operator import Size, conv_operator
from sfumato.nn.plain import plain_arguments
from sfumato.nn.weights.base import UNIT
from sfumato.nn.weights.estimators import Estimator
from sfumato.nn.weights.kernel import BayesianKernel, take_over
from sfumato.nn.weights.prior import PriorLike
from sfumato.noise import NoiseLaw

Layer = TypeVar("Layer", bound="_BayesianConv")


class _BayesianConv(BayesianKernel, ABC):
    """Abstract: a Bayesian convolution in `spatial` dimensions."""

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
        prior: PriorLike = UNIT,
        estimator: Estimator = "auto",
        *,
        padding_mode: str = "zeros",
        scale: float | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        geometry: tuple[Any, ...] = (kernel_size, stride, padding, dilation, groups, padding_mode)
        operator = conv_operator(self.spatial, in_channels, out_channels, *geometry)
        super().__init__(operator, bias, noise, prior, estimator, scale, device, dtype)

    @classmethod
    def from_module(
        cls: type[Layer],
        module: nn.Module,
        noise: NoiseLaw = GAUSSIAN,
        prior: PriorLike = UNIT,
        estimator: Estimator = "auto",
        *,
        scale: float | None = None,
    ) -> Layer:
        """A Bayesian layer around a trained convolution: its weights become the means.

        Raises:
            SettingError: `module` is not a convolution in as many dimensions.
        """
        plain = plain_arguments(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)[cls.spatial - 1])
        layer = cls(**plain, noise=noise, prior=prior, estimator=estimator, scale=scale)
        take_over(layer, module)
        return layer


@final
class BayesianConv1d(_BayesianConv):
    """`BayesianConv2d` on sequences, `[B, C, L]`."""

    spatial = 1


@final
class BayesianConv2d(_BayesianConv):
    """A convolution whose kernels are drawn (spec 1, eq. 5 and 6).

    k ~ law(μ, softplus(r) + min_scale), h = x * k + b. `weight` and `bias` hold μ and are named as
    in `torch.nn.Conv2d`; `weight_raw` and `bias_raw` hold r.

    The arguments are those of `torch.nn.Conv2d`, then `noise`, `prior`, `estimator` and `scale` as
    in `BayesianLinear`; `"auto"` is reparameterization for every convolution.

    Raises:
        SettingError: sizes that do not fit each other, or an estimator that does not fit the law.

    Example:
        >>> import torch
        >>> BayesianConv2d(1, 4, 3, padding=1)(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 4, 8, 8])
    """

    spatial = 2


@final
class BayesianConv3d(_BayesianConv):
    """`BayesianConv2d` on volumes, `[B, C, D, H, W]`."""

    spatial = 3
