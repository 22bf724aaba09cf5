"""What a measure of importance may look at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from sfumato.compression.counting import evaluating
from sfumato.compression.kernels import channel_axis, on_input
from sfumato.compression.wiring import Group, Wiring


@final
@dataclass(frozen=True)
class Scene:
    """A network, its groups of neurons, and some training records.

    Args:
        model: the network, plain or with stochastic layers.
        wiring: which numbers belong to which neuron.
        inputs: training records `[B, ...]`.
        labels: of them, `[B]`.
    """

    model: nn.Module
    wiring: Wiring
    inputs: Tensor
    labels: Tensor

    @property
    def groups(self) -> dict[str, Group]:
        """The groups of neurons by name."""
        return self.wiring.groups

    @contextmanager
    def reading(self) -> Iterator[dict[str, list[Tensor]]]:
        """What each layer with a kernel reads in the calls made inside, on the mean path.

        Yields:
            By the layer's name the tensors, one for each call. They are copies of its own, so that
            the gradient of one is that through this layer alone; it is kept.
        """
        heard: dict[str, list[Tensor]] = {}
        hooks = []
        for name in {axis.module for each in self.groups for axis in self.wiring.reads(each)}:
            module = self.model.get_submodule(name)
            hooks.append(on_input(module, _hearing(heard, name)))
        try:
            with evaluating(self.model):
                yield heard
        finally:
            for hook in hooks:
                hook.remove()

    def by_neuron(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Values by what layers read, `[..., positions]`, added up by neuron, `[..., size]`."""
        found: dict[str, Tensor] = {}
        for name, size in self.wiring.sizes.items():
            parts = [
                axis.summed(values[axis.module], self.wiring.number(name), size)
                for axis in self.wiring.reads(name)
            ]
            found[name] = torch.stack(parts).sum(0)
        return found

    def by_position(self, name: str, values: Tensor) -> Tensor:
        """What a layer reads `[B, ...]`, summed over all but records and positions: `[B, n]`."""
        axis = channel_axis(self.model.get_submodule(name), values)
        return values.movedim(axis, 1).flatten(2).sum(2) if values.dim() > 2 else values


def _hearing(heard: dict[str, list[Tensor]], name: str) -> Any:
    def hear(_: nn.Module, x: Tensor) -> Tensor:
        own = x.clone()
        if torch.is_grad_enabled():
            own = own.requires_grad_() if not own.requires_grad else own
            own.retain_grad()
        heard.setdefault(name, []).append(own)
        return own

    return hear
