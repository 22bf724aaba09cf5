"""Estimators of the gradient through drawn weights: which noise a batch shares, and what it costs.

- *Reparameterization* (Kingma & Welling 2014): one draw of the weights for the whole batch. Costs
  one draw per weight, whatever the batch.
- *Local reparameterization* (Kingma, Salimans & Welling 2015): Gaussian weights make Gaussian
  pre-activations, which are drawn instead: h ~ N(x μᵀ, x² (σ²)ᵀ). Fresh noise per record, two
  products, no draw per weight.
- *Flipout* (Wen et al. 2018): one draw, its sign turned per record: h = x μᵀ + ((x ⊙ s) Δᵀ) ⊙ r
  with random signs s, r. Fresh (pairwise uncorrelated) noise per record for any symmetric law.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from sfumato.errors import SettingError
from sfumato.nn.operator import Operator
from sfumato.noise import Gaussian, LocationScale, NoiseLaw, Source, at_least_float32

Estimator = Literal["auto", "reparameterization", "local", "flipout"]
Moments = tuple[Tensor, Tensor]
FEW_ROWS = 4  # while gradients are recorded
FEW_ROWS_WITHOUT_GRADIENTS = 127


def check_estimator(estimator: str, noise: NoiseLaw) -> None:
    """Raise a `SettingError` unless `estimator` exists and works with the law."""
    if estimator not in ("auto", "reparameterization", "local", "flipout"):
        raise SettingError(
            f"unknown estimator {estimator!r}: "
            "use 'auto', 'reparameterization', 'local' or 'flipout'"
        )
    if estimator == "local" and type(noise) is not Gaussian:
        raise SettingError(
            f"local reparameterization needs Gaussian weights, not {type(noise).__name__}: "
            "use 'reparameterization'"
        )
    if estimator == "flipout" and not isinstance(noise, LocationScale):
        raise SettingError(
            f"flipout needs weights that are symmetric around a location, not "
            f"{type(noise).__name__}: use 'reparameterization'"
        )


def quickest(operator: Operator, noise: NoiseLaw, x: Tensor) -> Estimator:
    """What `"auto"` stands for: the estimator that was quickest for this shape and batch.

    Few rows through a fully connected layer with Gaussian weights: `"local"`, because the draw of
    the weights would outweigh the product; everything else: `"reparameterization"`. Flipout was
    never the quickest (docs/choosing-a-layer.md has the figures). An exported program, whose batch
    may be of any size, is always reparameterized.
    """
    if torch.compiler.is_exporting():
        return "reparameterization"
    rows = x.shape[:-1].numel()
    few_rows = FEW_ROWS if torch.is_grad_enabled() else FEW_ROWS_WITHOUT_GRADIENTS
    few = operator.spatial == 0 and rows <= few_rows
    return "local" if few and type(noise) is Gaussian else "reparameterization"


def local(
    operator: Operator, x: Tensor, weight: Moments, bias: Moments | None, source: Source
) -> Tensor:
    """Draw the pre-activations, `[B, out, ...]`, from N(x μᵀ, x² (σ²)ᵀ), given (μ, σ²)."""
    mean = operator.apply(x, weight[0], None if bias is None else bias[0])
    variance = _in_full_precision(operator, x, weight[1], None if bias is None else bias[1])
    # A record of zeros has no variance, and the slope of a square root at 0 is infinite.
    deviation = variance.clamp_min(torch.finfo(variance.dtype).tiny).sqrt()
    eps = source.normal(mean.shape, deviation.dtype, mean.device)
    return torch.addcmul(mean.to(eps.dtype), deviation, eps).to(mean.dtype)


def _in_full_precision(
    operator: Operator, x: Tensor, variance: Tensor, bias: Tensor | None
) -> Tensor:
    """x² (σ²)ᵀ in float32 at least: in half precision a square overflows, or vanishes."""
    squares = at_least_float32(x).square()
    if not torch.is_autocast_enabled(x.device.type):
        return operator.apply(squares, variance, bias)
    with torch.autocast(x.device.type, enabled=False):
        return operator.apply(squares, variance, bias)


def flipout(
    operator: Operator,
    x: Tensor,
    weight: Tensor,
    away: Tensor,
    bias: Tensor | None,
    source: Source,
) -> Tensor:
    """The mean path plus the shared draw `away` with signs of each record's own.

    Args:
        operator: how a kernel acts.
        x: `[B, ..., in]` or `[B, in, *spatial]`.
        weight: the location.
        away: the draw less its location.
        bias: the location of the bias, or None.
        source: where the signs come from.
    """
    inward = _signs(operator, x, operator.inputs, source)
    outward = _signs(operator, x, operator.outputs, source)
    turned = operator.apply(x * inward, away, None)
    return operator.apply(x, weight, bias) + turned * outward


def _signs(operator: Operator, x: Tensor, channels: int, source: Source) -> Tensor:
    """-1 or 1 for each record (each row of a fully connected layer) and channel."""
    lead = x.shape[: operator.channel_axis]
    shape = (*lead, channels, *(1,) * operator.spatial)
    uniform = source.symmetric(shape, torch.float32, x.device)
    return (uniform > 0).to(x.dtype) * 2 - 1
