"""The fully connected Bayesian layer."""

from __future__ import annotations

from typing import final

import torch
from torch import nn

from sfumato.nn.base import GAUSSIAN
from sfumato.nn.operator import LinearOperator
from sfumato.nn.plain import plain_arguments
from sfumato.nn.weights.base import UNIT
from sfumato.nn.weights.estimators import Estimator
from sfumato.nn.weights.kernel import BayesianKernel, take_over
from sfumato.nn.weights.prior import PriorLike
from sfumato.noise import NoiseLaw


@final
class BayesianLinear(BayesianKernel):
    """A fully connected layer whose weights are drawn (spec 1, eq. 11 and 12).

    W ~ law(μ, softplus(r) + min_scale), h = W x + b. `weight` and `bias` hold μ and are named as in
    `torch.nn.Linear`; `weight_raw` and `bias_raw` hold r.

    Args:
        in_features: size of the last axis of the input.
        out_features: size of the last axis of the output.
        bias: learn an additive bias, drawn like the weights.
        noise: the law of the weights.
        prior: a `GaussianPrior`, a `ScaleMixture`, a torch distribution, or a function that gives
            the log density of a weight.
        estimator: `"reparameterization"`, `"local"`, `"flipout"`, or `"auto"` for the quickest: few
            rows (at most 4, without gradients 127) of Gaussian weights go local, everything else
            is reparameterized.
        scale: the scale at which all weights start; when None a tenth of 1 / sqrt(in_features), and
            twice the law's `min_scale` at least.
        device: where the parameters live.
        dtype: of the parameters.

    Raises:
        SettingError: a size is below 1, or the estimator does not work with the law.

    Example:
        >>> import torch
        >>> layer = BayesianLinear(8, 4)
        >>> layer(torch.ones(2, 8)).shape, layer.kl().shape
        (torch.Size([2, 4]), torch.Size([]))
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        noise: NoiseLaw = GAUSSIAN,
        prior: PriorLike = UNIT,
        estimator: Estimator = "auto",
        *,
        scale: float | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        operator = LinearOperator(in_features, out_features)
        super().__init__(operator, bias, noise, prior, estimator, scale, device, dtype)

    @classmethod
    def from_module(
        cls,
        module: nn.Linear,
        noise: NoiseLaw = GAUSSIAN,
        prior: PriorLike = UNIT,
        estimator: Estimator = "auto",
        *,
        scale: float | None = None,
    ) -> BayesianLinear:
        """A Bayesian layer around a trained one: its weights become the means.

        Raises:
            SettingError: `module` is not an `nn.Linear`.
        """
        plain = plain_arguments(module, nn.Linear)
        layer = cls(**plain, noise=noise, prior=prior, estimator=estimator, scale=scale)
        take_over(layer, module)
        return layer
