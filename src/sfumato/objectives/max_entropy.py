"""Max-entropy with a margin (spec 4, eq. 4-7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import torch
from torch import Tensor

from sfumato.errors import DataError, SettingError
from sfumato.nn.values import readable

Over = Literal["neuron", "sample", "element"]


def max_entropy(
    log_scales: Tensor | Iterable[Tensor] | Mapping[str, Tensor],
    margin: float,
    over: Over = "element",
) -> Tensor:
    """How far the noise stays below the entropy `margin` b: smaller is noisier.

    With K neurons (channels of a convolution) and N records, and (·)⁺ = max(·, 0):

    - `"neuron"` (spec 4, eq. 5): 1/K Σ_j (b - 1/N Σ_i log σ_ij)⁺; log σ of a convolution is
      averaged over the batch and over H × W,
    - `"sample"` (eq. 6): 1/N Σ_i (b - 1/K Σ_j log σ_ij)⁺; averaged over channels and H × W,
    - `"element"` (eq. 7): the mean of (b - log σ)⁺ over every single value.

    Args:
        log_scales: log σ in nats, `[N, K]` or `[N, C, H, W]`, neurons on axis 1: for `"neuron"`
            move those of a linear layer on sequences there, as `sf.train.MaxEntropyLoss` does.
            Several layers (a sequence or `sf.record`'s `log_scales`) are summed.
        margin: b in nats: entropy beyond it is not rewarded.
        over: what the entropy is averaged over before the margin applies.

    Returns:
        A scalar.

    Raises:
        SettingError: unknown `over`, or no layer at all.
        DataError: a log-scale is NaN; not looked at inside a compiled graph or `torch.vmap`.

    Example:
        >>> import torch
        >>> float(max_entropy(torch.zeros(4, 3), margin=1.0))
        1.0
    """
    if isinstance(log_scales, Tensor):
        return _one_layer(log_scales, margin, over)
    layers = list(log_scales.values() if isinstance(log_scales, Mapping) else log_scales)
    if not layers:
        raise SettingError("max_entropy needs the log-scales of at least one layer")
    return torch.stack([_one_layer(layer, margin, over) for layer in layers]).sum()


def _one_layer(log_scale: Tensor, margin: float, over: Over) -> Tensor:
    if readable(log_scale) and bool(log_scale.isnan().any()):
        raise DataError(
            "a log-scale is NaN, so the noise has no entropy: look for NaN in the records, or "
            "train with a smaller learning rate"
        )
    if over == "neuron":
        log_scale = log_scale.transpose(0, 1).flatten(1).mean(1)
    elif over == "sample":
        log_scale = log_scale.flatten(1).mean(1)
    elif over != "element":
        raise SettingError(f"unknown over={over!r}: use 'neuron', 'sample' or 'element'")
    return (margin - log_scale).clamp(min=0).mean()
