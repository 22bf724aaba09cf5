"""Obfuscators to start from, and to be held against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, final

import torch
from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.nn import AdditiveNoise, ConditionalAdditiveNoise
from sfumato.nn.base import GAUSSIAN, StochasticModule
from sfumato.nn.bound import BoundLike
from sfumato.nn.conditional.kernels import (
    ConditionalConv1d,
    ConditionalConv2d,
    ConditionalConv3d,
    ConditionalLinear,
)
from sfumato.noise import LocationScale, raw_scale
from sfumato.obfuscation.obfuscator import Obfuscator

Kind = Literal["conv", "additive"]
Start = Literal["conv", "additive", "scales"]


def isotropic(
    shape: Sequence[int],
    sigma: float,
    *,
    noise: LocationScale = GAUSSIAN,
    bound: BoundLike = None,
) -> Obfuscator:
    """The baseline everything is held against: x + σ ε, the same for every label and element.

    Args:
        shape: the shape of one record.
        sigma: the scale of the noise, in units of the record.
        noise: the noise law.
        bound: clamp the location to (low, high), which a certificate needs.

    Raises:
        SettingError: `sigma` is not above the law's `min_scale`.
    """
    layer = AdditiveNoise(shape, noise, bound)
    with torch.no_grad():
        layer.weight[1] = raw_scale(sigma, noise.min_scale)
    return Obfuscator(layer)


def conditional(
    shape: Sequence[int],
    num_classes: int,
    sigma: float,
    *,
    kind: Kind = "conv",
    kernel_size: int = 3,
    noise: LocationScale = GAUSSIAN,
    bound: BoundLike = None,
) -> Obfuscator:
    """A label-conditional obfuscator that begins as isotropic noise: the fit starts there.

    Args:
        shape: the shape of one record.
        num_classes: number of categories.
        sigma: the scale of the noise before any fit.
        kind: `"conv"`: location and scale are convolutions of the record with each label's
            kernels (spec 3, eq. 5 and 6; fully connected for vectors). `"additive"`: they are a
            free shift and a free scale for each element and label; the scale then does not
            depend on the record.
        kernel_size: of the convolution, odd.
        noise: the noise law.
        bound: clamp the location to (low, high).

    Raises:
        SettingError: an unknown kind, an even kernel, or a `sigma` not above `min_scale`.
    """
    rho = raw_scale(sigma, noise.min_scale)
    if kind == "additive":
        layer = ConditionalAdditiveNoise(num_classes, shape, noise, bound)
        with torch.no_grad():
            layer.weight[:, 1] = rho
        return Obfuscator(layer)
    if kind != "conv":
        raise SettingError(f"unknown kind {kind!r}: use 'conv', 'additive' or, to fit, 'scales'")
    return Obfuscator(_identity_kernels(shape, num_classes, rho, kernel_size, noise, bound))


def start(
    kind: Start,
    shape: Sequence[int],
    num_classes: int,
    sigma: float,
    *,
    bound: BoundLike = None,
) -> Obfuscator:
    """What a fit starts from: isotropic noise in one of the families that can be learned.

    Args:
        kind: `"conv"` or `"additive"`, one for each label, see `conditional`; `"scales"`: x + σ ε
            with a free σ for each element, the same for every label. Fit the latter with
            `FitSettings(location="identity")`.
        shape: the shape of one record.
        num_classes: number of categories.
        sigma: the scale of the noise before any fit.
        bound: clamp the location to (low, high).

    Raises:
        SettingError: an unknown kind, or a `sigma` not above `min_scale`.
    """
    if kind == "scales":
        return isotropic(shape, sigma, bound=bound)
    return conditional(shape, num_classes, sigma, kind=kind, bound=bound)


def _identity_kernels(
    shape: Sequence[int],
    num_classes: int,
    rho: float,
    kernel_size: int,
    noise: LocationScale,
    bound: BoundLike,
) -> StochasticModule:
    channels, spatial = shape[0], len(shape) - 1
    if kernel_size % 2 == 0 or spatial > 3:
        raise SettingError(f"kernel_size must be odd, not {kernel_size}, on 0 to 3 spatial axes")
    if spatial == 0:
        layer = ConditionalLinear(num_classes, channels, channels, noise=noise, bound=bound)
    else:
        made = (ConditionalConv1d, ConditionalConv2d, ConditionalConv3d)[spatial - 1]
        layer = made(
            num_classes, channels, channels, kernel_size, padding=kernel_size // 2, noise=noise,
            bound=bound,
        )  # fmt: skip
    centre = (kernel_size // 2,) * spatial
    assert layer.bias is not None
    with torch.no_grad():
        layer.weight.zero_()
        for channel in range(channels):
            layer.weight[(slice(None), channel, channel, *centre)] = 1.0
        layer.bias.zero_()
        layer.bias[:, channels:] = rho
    return layer


def class_mean(means: Tensor, sigma: float) -> Obfuscator:
    """Class mean + noise: the release holds nothing of the record but its label.

    If a model trains as well on this, obfuscated records carried nothing.

    Args:
        means: the mean record of each class, `[C, *shape]`.
        sigma: the scale of the noise.
    """
    obfuscator = conditional(means.shape[1:], len(means), sigma, kind="additive")
    layer = obfuscator.layer
    assert isinstance(layer, ConditionalAdditiveNoise)
    with torch.no_grad():
        layer.weight[:, 0] = means
    return Obfuscator(layer, pre=Blank())


@final
class Blank(nn.Module):
    """Replace every record by zeros."""

    def forward(self, x: Tensor) -> Tensor:
        """Zeros of the shape of `x`."""
        return torch.zeros_like(x)
