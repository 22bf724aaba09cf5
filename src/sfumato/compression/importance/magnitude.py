"""How large a neuron's kernel is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from sfumato.compression.collapsing import collapse
from sfumato.compression.importance.base import Importance, Normalise
from sfumato.compression.importance.scene import Scene
from sfumato.compression.kernels import TRANSPOSED


@final
@dataclass(frozen=True)
class Magnitude(Importance):
    """The L2 norm of the kernels that make a neuron, biases and batch norm left out.

    Li, Kadav, Durdanovic, Samet, Graf 2017, "Pruning Filters for Efficient ConvNets", with the L2
    norm. Of a stochastic layer the kernel of the mean path.

    Args:
        normalise: how layers are made comparable.
        per_cost: importance for each multiplication saved.
    """

    normalise: Normalise = "l2"
    per_cost: bool = False

    def score(self, scene: Scene) -> dict[str, Tensor]:
        """Scores of all neurons, at least 0."""
        plain = collapse(scene.model)
        found: dict[str, Tensor] = {}
        for name, size in scene.wiring.sizes.items():
            total = torch.zeros(size)
            for axis in scene.wiring.makes(name):
                layer = plain.get_submodule(axis.module)
                weight = layer.get_parameter("weight").detach()
                if isinstance(layer, TRANSPOSED) and axis.kind != "both":  # [in, out / groups]
                    weight = weight.transpose(0, 1)
                squares = weight.flatten(1).square().sum(1).cpu()
                total += axis.summed(squares, scene.wiring.number(name), size)
            found[name] = total.sqrt()
        return found
