"""The certified path: few features of a record, clipped to a norm, and noise on top."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sfumato.errors import DataError, SettingError
from sfumato.nn import AdditiveNoise, ClipNorm, ConditionalAdditiveNoise
from sfumato.nn.base import GAUSSIAN
from sfumato.noise import LocationScale, raw_scale
from sfumato.obfuscation.obfuscator import Obfuscator


def bottleneck(
    shape: Sequence[int],
    features: int,
    sigma: float,
    *,
    clip: float = 1.0,
    num_classes: int | None = None,
    encoder: nn.Module | None = None,
    records: Tensor | None = None,
    noise: LocationScale = GAUSSIAN,
    secure: bool = False,
) -> Obfuscator:
    """An obfuscator with a guarantee: clip(encoder(x)) + σ ε, with ‖clip(·)‖₂ ≤ C.

    Any two records are at most 2 C apart, whatever the encoder does, and σ does not depend on the
    record: `sf.privacy.certify` gives (ε, δ) from 2 C / σ, and
    `sfumato.obfuscation.calibrate(obfuscator, epsilon, delta)` chooses σ.

    Args:
        shape: the shape of one record.
        features: elements of a release; 8 to 64 leave room for a small ε.
        sigma: the scale of the noise, in units of the clipped features.
        clip: C, the largest norm of a record's features.
        num_classes: with it, a shift and a scale for each label and feature.
        encoder: from records `[B, *shape]` to `[B, features]`; it must treat each record by itself.
            By default a linear map: random orthonormal directions, or those of `records`.
        records: clean records `[N, *shape]`: the map then takes their first principal directions
            around their mean, scaled such that half of them are clipped. Their mean and directions
            are part of the obfuscator, and no guarantee covers them.
        noise: the noise law.
        secure: draw from the operating system's cryptographic source only.

    Raises:
        SettingError: more features than elements, a size or a scale that cannot be, or both an
            encoder and records.
        DataError: the records do not fit the shape, or are fewer than the features.

    Example:
        >>> import torch, sfumato as sf
        >>> obf = sf.obfuscation.bottleneck((1, 8, 8), 16, sigma=1.0)
        >>> obf.release(torch.rand(2, 1, 8, 8), torch.tensor([3, 7])).shape
        torch.Size([2, 16])
    """
    if encoder is not None and records is not None:
        raise SettingError("records choose the default encoder: leave them out, or the encoder")
    if encoder is None:
        encoder = _linear(tuple(shape), features, clip, records)
    if num_classes is None:
        layer = AdditiveNoise((features,), noise)
    else:
        layer = ConditionalAdditiveNoise(num_classes, (features,), noise)
    with torch.no_grad():
        layer.weight.select(-2, 1).fill_(raw_scale(sigma, noise.min_scale))
    return Obfuscator(layer, pre=nn.Sequential(encoder, ClipNorm(clip)), secure=secure)


def _linear(
    shape: tuple[int, ...], features: int, clip: float, records: Tensor | None
) -> nn.Module:
    size = math.prod(shape)
    if not 1 <= features <= size:
        raise SettingError(f"features must lie in 1..{size}, the elements of a record: {features}")
    linear = nn.Linear(size, features)
    with torch.no_grad():
        if records is None:
            nn.init.orthogonal_(linear.weight)
            linear.bias.zero_()
        else:
            weight, bias = _principal(records, shape, features, clip)
            linear.weight.copy_(weight)
            linear.bias.copy_(bias)
    return nn.Sequential(nn.Flatten(), linear)


def _principal(
    records: Tensor, shape: tuple[int, ...], features: int, clip: float
) -> tuple[Tensor, Tensor]:
    """Weight and bias of the map to the first principal directions, in units of the clip."""
    if records.shape[1:] != shape or len(records) < features:
        raise DataError(
            f"records of {list(shape)}, at least {features} of them, choose the directions, not "
            f"{list(records.shape)}"
        )
    flat = records.double().flatten(1)
    mean = flat.mean(0)
    _, axes = torch.linalg.eigh((flat - mean).T @ (flat - mean))
    weight = axes.flip(1)[:, :features].T
    typical = ((flat - mean) @ weight.T).norm(dim=1).median()
    if not bool(typical > 0):
        raise DataError("the records are all alike, or hold NaN: no direction tells them apart")
    weight = weight * (clip / typical)
    return weight, -weight @ mean
