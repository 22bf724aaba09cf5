"""Stochastic support vector machines: linear, or with a Gaussian kernel by random features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, final

import torch
from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.nn.base import GAUSSIAN, check_positive
from sfumato.nn.bound import BoundLike
from sfumato.nn.kernels import KernelLayer
from sfumato.nn.operator import LinearOperator
from sfumato.nn.svm.fourier import RandomFourierFeatures, check_features
from sfumato.nn.weights.base import UNIT
from sfumato.nn.weights.estimators import Estimator
from sfumato.nn.weights.linear import BayesianLinear
from sfumato.nn.weights.prior import PriorLike
from sfumato.noise import NoiseLaw

Kernel = Literal["linear", "rbf"]


@final
class StochasticSVM(KernelLayer):
    """A support vector machine whose class scores are sampled (spec 1 §1).

    μ = W_μ z + b_μ, σ = softplus(W_σ z + b_σ) + min_scale, score h = μ + σ ε, with z = x (linear)
    or z = `RandomFourierFeatures`(x) (the Gaussian kernel "rbf"). `sf.objectives.multiclass_hinge`
    with a weight decay on `weight` makes it a support vector machine; the class of the largest
    score wins.

    Args:
        in_features: size of the last axis of the input.
        num_classes: number of classes C, the size of the last axis of the scores.
        kernel: `"linear"` or `"rbf"`.
        gamma: γ of the rbf kernel exp(-γ |x - y|²); 1 / `in_features` when it is None.
        num_features: number of random features of the rbf kernel.
        noise: the noise law.
        bound: clamp the location to (low, high).
        device: where the parameters live.
        dtype: of the parameters.

    Raises:
        SettingError: a size is below 1, or the kernel is unknown.

    Example:
        >>> import torch
        >>> StochasticSVM(64, 10, "rbf")(torch.zeros(2, 64)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        kernel: Kernel = "linear",
        gamma: float | None = None,
        num_features: int = 1024,
        noise: NoiseLaw = GAUSSIAN,
        bound: BoundLike = None,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_positive(in_features=in_features, num_classes=num_classes)
        features = _features(kernel, in_features, num_features, gamma, device, dtype)
        width = num_features if kernel == "rbf" else in_features
        operator = LinearOperator(width, num_classes)
        super().__init__(operator, (), True, noise, bound, device, dtype)
        self.kernel: Kernel = kernel
        self.in_features, self.num_features = in_features, num_features
        self.features = features

    def reset_parameters(self) -> None:
        """Draw kernel, bias and random features anew."""
        super().reset_parameters()
        _redraw(self._modules.get("features"))  # None while the constructor is at work

    def blocks(self, x: Tensor) -> Sequence[Tensor]:
        return self._blocks(self._raw(x))

    def forward(self, x: Tensor, eps: Tensor | None = None) -> Tensor:
        """Pass on a sample of the class scores.

        Args:
            x: `[B, ..., in_features]`.
            eps: the noise to use, of the scores' shape; drawn afresh when it is None.

        Returns:
            Scores `[B, ..., num_classes]`.

        Raises:
            DataError: the last axis of `x` has another size, or `x` is not of real numbers.
        """
        return self._pass_on(self._raw(x), -1, eps)

    def config(self) -> dict[str, Any]:
        return {
            "in_features": self.in_features,
            "num_classes": self.operator.outputs,
            **_kernel_config(self.kernel, self.features, self.num_features),
            **self._law_config(),
        }

    def _raw(self, x: Tensor) -> Tensor:
        check_features(self, x, self.in_features)
        return self.operator.apply(self.features(x), self.weight, self.bias)


@final
class BayesianSVM(nn.Module):
    """A support vector machine whose weights are drawn (spec 1 §1.2.2).

    score h = W z + b with W and b drawn once per call from their laws, z as in `StochasticSVM`.

    Args:
        in_features: size of the last axis of the input.
        num_classes: number of classes C, the size of the last axis of the scores.
        kernel: `"linear"` or `"rbf"`.
        gamma: γ of the rbf kernel exp(-γ |x - y|²); 1 / `in_features` when it is None.
        num_features: number of random features of the rbf kernel.
        noise: the law of the weights.
        prior: as in `BayesianLinear`.
        estimator: as in `BayesianLinear`.
        scale: as in `BayesianLinear`.
        device: where the parameters live.
        dtype: of the parameters.

    Raises:
        SettingError: a size is below 1, or the kernel or the estimator is unknown.

    Example:
        >>> import torch
        >>> layer = BayesianSVM(64, 10)
        >>> layer(torch.zeros(2, 64)).shape, layer.kl().shape
        (torch.Size([2, 10]), torch.Size([]))
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        kernel: Kernel = "linear",
        gamma: float | None = None,
        num_features: int = 1024,
        noise: NoiseLaw = GAUSSIAN,
        prior: PriorLike = UNIT,
        estimator: Estimator = "auto",
        *,
        scale: float | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_positive(in_features=in_features, num_classes=num_classes)
        self.kernel: Kernel = kernel
        self.in_features, self.num_features = in_features, num_features
        self.features = _features(kernel, in_features, num_features, gamma, device, dtype)
        width = num_features if kernel == "rbf" else in_features
        law: dict[str, Any] = {"noise": noise, "prior": prior, "estimator": estimator}
        self.scores = BayesianLinear(
            width, num_classes, **law, scale=scale, device=device, dtype=dtype
        )

    def reset_parameters(self) -> None:
        """Draw the means of the weights and the random features anew."""
        self.scores.reset_parameters()
        _redraw(self.features)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores `[B, ..., num_classes]` of `x` `[B, ..., in_features]` under drawn weights.

        Raises:
            DataError: the last axis of `x` has another size, or `x` is not of real numbers.
        """
        check_features(self, x, self.in_features)
        return self.scores(self.features(x))

    def kl(self) -> Tensor:
        """KL(q || prior), summed over all weights, in nats; `sf.objectives.kl` counts it once."""
        return self.scores.kl()

    def config(self) -> dict[str, Any]:
        """The constructor's arguments, for people to read; a prior is shown as text."""
        law = {
            name: self.scores.config()[name] for name in ("noise", "prior", "estimator", "scale")
        }
        return {
            "in_features": self.in_features,
            "num_classes": self.scores.operator.outputs,
            **_kernel_config(self.kernel, self.features, self.num_features),
            **law,
        }


def _features(
    kernel: str,
    in_features: int,
    num_features: int,
    gamma: float | None,
    device: torch.device | str | None,
    dtype: torch.dtype | None,
) -> nn.Module:
    """z: the identity, or random features."""
    if kernel not in ("linear", "rbf"):
        raise SettingError(f"unknown kernel {kernel!r}: use 'linear' or 'rbf'")
    if kernel == "linear":
        return nn.Identity()
    return RandomFourierFeatures(in_features, num_features, gamma, device=device, dtype=dtype)


def _redraw(features: nn.Module | None) -> None:
    if isinstance(features, RandomFourierFeatures):
        features.reset_parameters()


def _kernel_config(kernel: Kernel, features: nn.Module, num_features: int) -> dict[str, Any]:
    gamma = features.gamma if isinstance(features, RandomFourierFeatures) else None
    return {"kernel": kernel, "gamma": gamma, "num_features": num_features}
