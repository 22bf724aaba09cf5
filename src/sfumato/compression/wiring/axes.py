"""Axes of layers, and which neuron each position on them belongs to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, final

import torch
from torch import Tensor

Kind: TypeAlias = Literal["out", "in", "both", "parameter"]
Handler: TypeAlias = Callable[[Any, Sequence[int]], Any]


@final
@dataclass(frozen=True)
class Group:
    """Neurons that are removed alike: of one layer, or of several that are tied to each other.

    Residual additions tie the layers whose outputs are added; a depthwise convolution is tied to
    the layer before it. In a grouped convolution one neuron of each group goes at a time.

    Args:
        name: of the first layer that makes the neurons.
        size: how many there are.
        makers: names of the layers with a kernel that make them.
        readers: names of the layers with a kernel that read them.
    """

    name: str
    size: int
    makers: tuple[str, ...]
    readers: tuple[str, ...]


@final
@dataclass
class Axis:
    """One axis of one layer: position by position the group and the neuron that it belongs to.

    Args:
        module: the layer's name; of a free parameter, the parameter's.
        kind: the axis that a layer makes or reads, both at once (batch norm, a depthwise
            convolution), or an axis of a free parameter.
        group: numbers of groups `[positions]`, -1 where no group is.
        neuron: numbers of neurons in their group `[positions]`.
        handler: what removes positions from a plain layer; torch-pruning's.
        dim: the axis of a free parameter.
    """

    module: str
    kind: Kind
    group: Tensor
    neuron: Tensor
    handler: Handler
    dim: int = -1

    def positions(self, group: int, neurons: Tensor) -> Tensor:
        """Where these neurons of a group are."""
        found = (self.group == group) & torch.isin(self.neuron, neurons)
        return found.nonzero().flatten()

    def drop(self, group: int, neurons: Tensor) -> None:
        """Forget these neurons, and number those that are left anew."""
        stays = torch.ones(len(self.group), dtype=torch.bool)
        stays[self.positions(group, neurons)] = False
        self.group, self.neuron = self.group[stays], self.neuron[stays]
        mine = self.group == group
        below = torch.searchsorted(neurons.sort().values, self.neuron[mine])
        self.neuron[mine] -= below

    def summed(self, values: Tensor, group: int, size: int) -> Tensor:
        """Values by position `[..., positions]` added up by neuron, `[..., size]`."""
        mine = (self.group == group).nonzero().flatten()
        total = values.new_zeros((*values.shape[:-1], size))
        mine, neurons = mine.to(values.device), self.neuron[mine].to(values.device)
        return total.index_add_(-1, neurons, values.index_select(-1, mine))

    def counted(self, group: int, size: int) -> Tensor:
        """How many positions each neuron has, `[size]`."""
        return self.summed(torch.ones(len(self.group)), group, size).long()
