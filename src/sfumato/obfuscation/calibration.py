"""The scale that a wanted ε needs."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from sfumato.errors import SettingError
from sfumato.nn import AdditiveNoise, ConditionalAdditiveNoise
from sfumato.nn.kernels import KernelLayer
from sfumato.noise import LocationScale
from sfumato.obfuscation.obfuscator import Obfuscator
from sfumato.privacy.certificate import certify
from sfumato.privacy.certificate.certificate import VACUOUS
from sfumato.privacy.certificate.checks import check_delta, check_epsilon, check_releases

_TIGHT = 1e-4
"""How far below the wanted ε the one that is reached may lie, relative to it."""

Additive = AdditiveNoise | ConditionalAdditiveNoise


def calibrate(
    obfuscator: Obfuscator, target_epsilon: float, delta: float, *, releases: int = 1
) -> float:
    """Set the scale such that the certificate says at most `target_epsilon`, and hardly less.

    The pattern of the scales, over elements and classes, stays as it is: all are multiplied by one
    factor. So call it after the fit, and change no parameter afterwards. Labels are taken as
    public, as in `sf.privacy.certify`.

    Args:
        obfuscator: its layer is additive noise, with a bound or behind `ClipNorm`; changed in
            place.
        target_epsilon: ε, above 0 and at most 20.
        delta: δ, well below 1 / (number of records).
        releases: K, the releases of one record that someone may hold.

    Returns:
        The ε that is reached: within 1e-3 of the target, unless the law's `min_scale` is more
        noise than it needs.

    Raises:
        SettingError: nothing can be certified (the location is not bounded, the scale depends on
            the record, ...), or a figure outside of what it may be.

    Example:
        >>> import sfumato as sf
        >>> obf = sf.obfuscation.bottleneck((1, 8, 8), 16, sigma=1.0)
        >>> round(sf.obfuscation.calibrate(obf, target_epsilon=4.0, delta=1e-5), 2)
        4.0
    """
    check_epsilon(target_epsilon)
    check_delta(delta)
    check_releases(releases)
    if target_epsilon > VACUOUS:
        raise SettingError(
            f"an epsilon of {target_epsilon:g} says nothing: ask for {VACUOUS:g} or less"
        )
    layer, law = _additive(obfuscator, delta)
    before = layer.weight.detach().clone()
    scales = law.constrain((_raw(layer), _raw(layer)))[1].detach().double()

    def reached(factor: float) -> float:
        """The ε after every scale was multiplied by `factor`."""
        with torch.no_grad():
            excess = (scales * factor - law.min_scale).clamp(min=1e-9 * law.min_scale)
            _raw(layer).copy_(excess + torch.log(-torch.expm1(-excess)))
        found = certify(obfuscator, delta=delta, releases=releases).epsilon
        return math.inf if found is None else found

    try:
        return _search(reached, target_epsilon, law.min_scale / float(scales.max()))
    except SettingError:
        with torch.no_grad():
            layer.weight.copy_(before)
        raise


def _search(reached: Callable[[float], float], target: float, least: float) -> float:
    """Go to the smallest factor, but for rounding, at which ε is at most the target."""
    high = 1.0
    while reached(high) > target:
        high *= 2
        if high > 1e30:
            raise SettingError(f"no scale reaches an epsilon of {target:g}")
    low = high
    while reached(low) <= target:
        high, low = low, low / 2
        if high < least:  # every scale is at its floor
            break
    while not (1 - _TIGHT) * target <= reached(high) and high > (1 + 1e-7) * low:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if reached(middle) <= target else (middle, high)
    return reached(high)


def _additive(obfuscator: Obfuscator, delta: float) -> tuple[Additive, LocationScale]:
    """The layer, if its scale can be set, and its law."""
    layer = obfuscator.layer
    if isinstance(layer, KernelLayer):
        raise SettingError(
            f"no scale reaches an epsilon: that of a {type(layer).__name__} comes from its "
            "kernels; use additive noise (kind='additive' with a bound, or "
            "sfumato.obfuscation.bottleneck)"
        )
    certificate = certify(obfuscator, delta=delta)
    if not certificate.mechanism:
        raise SettingError(f"no scale reaches an epsilon: {certificate.reason}")
    assert isinstance(layer, (AdditiveNoise, ConditionalAdditiveNoise))  # it was certified
    if layer.weight.dtype not in (torch.float32, torch.float64):
        raise SettingError(f"a scale cannot be set finely enough in {layer.weight.dtype}")
    assert isinstance(layer.noise, LocationScale)
    return layer, layer.noise


def _raw(layer: Additive) -> Tensor:
    """The raw scales, as a view of the weight."""
    return layer.weight[1] if isinstance(layer, AdditiveNoise) else layer.weight[:, 1]
