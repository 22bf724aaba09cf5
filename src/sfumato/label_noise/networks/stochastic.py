"""The hidden layers of a network made stochastic, as spec 4 has them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from sfumato.label_noise.networks.hidden import chosen_layers
from sfumato.nn import StochasticConv1d, StochasticConv2d, StochasticConv3d, StochasticLinear
from sfumato.placement import convert

_TWINS = {
    nn.Linear: StochasticLinear,
    nn.Conv1d: StochasticConv1d,
    nn.Conv2d: StochasticConv2d,
    nn.Conv3d: StochasticConv3d,
}


def with_noise(model: nn.Module, layers: Sequence[str] | None = None) -> nn.Module:
    """A copy whose hidden layers emit the mean and the deviation of what they pass on (eq. 1).

    The mean keeps the network's weights. The kernel of σ starts as torch starts a layer, so that σ
    is about 0.7 and depends on the record; `sfumato.convert` begins with a small constant σ
    instead, which suits a network that is trained already.

    Args:
        model: not changed.
        layers: names of linear layers and convolutions; by default all hidden ones.

    Raises:
        SettingError: a name that is no such layer.
    """
    return convert(model, dict.fromkeys(chosen_layers(model, layers), _made))


def _made(layer: nn.Module) -> nn.Module:
    twin = next(twin for kind, twin in _TWINS.items() if isinstance(layer, kind))
    return twin.from_module(layer)
