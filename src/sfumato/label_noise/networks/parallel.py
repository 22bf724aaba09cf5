"""The baseline of equal size: where a stochastic layer has a second kernel, so has this."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, final

from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.label_noise.networks.hidden import chosen_layers
from sfumato.placement import convert


@final
class Parallel(nn.Module):
    """Two layers of one shape whose outputs are added, element by element (spec 4 §4.3).

    Args:
        layer: the layer; the second is a copy of it with weights drawn afresh.
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.beside: Any = copy.deepcopy(layer)
        if not hasattr(self.beside, "reset_parameters"):
            raise SettingError(
                f"{type(layer).__name__} has no reset_parameters: its weights cannot be drawn anew"
            )
        self.beside.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        """The sum, of the shape that the one layer gives."""
        return self.layer(x) + self.beside(x)


def with_parallel(model: nn.Module, layers: Sequence[str] | None = None) -> nn.Module:
    """A copy with a second layer beside each hidden one: as large as one with stochastic layers.

    Spec 4 §4.3 adds one at the penultimate layer. Where more layers are stochastic, equal size
    needs more of them: give both functions the same layers.

    Args:
        model: not changed.
        layers: names of linear layers and convolutions; by default all hidden ones.

    Raises:
        SettingError: a name that is no such layer.
    """
    return convert(model, dict.fromkeys(chosen_layers(model, layers), Parallel))
