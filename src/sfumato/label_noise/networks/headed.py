"""A network with a heteroscedastic head in place of its last layer."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from sfumato.errors import SettingError
from sfumato.label_noise.networks.head import HeteroscedasticHead
from sfumato.label_noise.networks.hidden import head_name
from sfumato.placement import convert


def with_heteroscedastic_head(
    model: nn.Module, rank: int = 4, samples: int = 32, temperature: float = 1.0
) -> nn.Module:
    """A copy whose last linear layer emits Gaussian logits (Collier et al. 2021).

    What follows the last layer must be nothing: its output becomes log-probabilities. The mean of
    the logits keeps the layer's weights.

    Args:
        model: not changed; its last linear layer gives the logits.
        rank: of the covariance beside its diagonal.
        samples: draws per record and call.
        temperature: τ of the softmax.

    Raises:
        SettingError: the last layer is not linear, or an argument is out of range.
    """
    make = partial(_headed, rank=rank, samples=samples, temperature=temperature)
    return convert(model, {head_name(model): make})


def _headed(layer: nn.Module, rank: int, samples: int, temperature: float) -> nn.Module:
    if not isinstance(layer, nn.Linear):
        raise SettingError(f"a head takes the place of an nn.Linear, not {type(layer).__name__}")
    head = HeteroscedasticHead(layer.in_features, layer.out_features, rank, samples, temperature)
    head.to(layer.weight)
    with torch.no_grad():
        head.location.weight.copy_(layer.weight)
        if layer.bias is not None and head.location.bias is not None:
            head.location.bias.copy_(layer.bias)
    return head
