"""Dropout where the stochastic layers would be: the control that tells noise from noise."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import nn

from sfumato.errors import SettingError
from sfumato.label_noise.networks.hidden import chosen_layers
from sfumato.placement import convert


def with_dropout(
    model: nn.Module, rate: float = 0.5, layers: Sequence[str] | None = None
) -> nn.Module:
    """A copy with dropout behind its hidden layers.

    Dropout stands before the activation that follows: with ReLU that is the same as behind it,
    because dropout multiplies by 0 or by a positive number.

    Args:
        model: not changed.
        rate: the probability that a value is dropped, in (0, 1).
        layers: names of linear layers and convolutions; by default all hidden ones.

    Raises:
        SettingError: a rate outside of (0, 1), or a name that is no such layer.
    """
    if not 0 < rate < 1:
        raise SettingError(f"the rate of dropout must lie in (0, 1), not {rate!r}")
    return convert(model, dict.fromkeys(chosen_layers(model, layers), partial(_dropped, rate)))


def _dropped(rate: float, layer: nn.Module) -> nn.Module:
    return nn.Sequential(layer, nn.Dropout(rate))
