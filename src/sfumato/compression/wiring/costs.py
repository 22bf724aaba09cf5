"""The multiplications that go with a neuron, without a run for each."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn

from sfumato.compression.counting import evaluating
from sfumato.compression.kernels import TRANSPOSED, kernel_of
from sfumato.compression.wiring.axes import Axis
from sfumato.compression.wiring.wired import Wiring


@final
class Costs:
    """How many multiplications of one record go with each neuron.

    The positions at which a layer's kernel is applied do not depend on how many neurons there
    are: they are counted once.

    Args:
        model: the network.
        inputs: a few records `[B, ...]`.
    """

    def __init__(self, model: nn.Module, inputs: Tensor) -> None:
        self._positions: dict[str, int] = {}
        hooks = [
            module.register_forward_hook(self._counting(name))
            for name, module in model.named_modules()
            if kernel_of(module) is not None
        ]
        try:
            with evaluating(model), torch.no_grad():
                model(inputs[:1])
        finally:
            for hook in hooks:
                hook.remove()

    def by_neuron(self, model: nn.Module, wiring: Wiring) -> dict[str, Tensor]:
        """By group, what the network saves without each of its neurons, `[size]`."""
        return {name: self._of(model, wiring, name, size) for name, size in wiring.sizes.items()}

    def _of(self, model: nn.Module, wiring: Wiring, name: str, size: int) -> Tensor:
        touched: dict[str, list[Axis]] = {}
        for axis in wiring.axes(name):
            if axis.module in self._positions:
                touched.setdefault(axis.module, []).append(axis)
        saved = torch.zeros(size, dtype=torch.long)
        for module, axes in touched.items():
            kernel = kernel_of(model.get_submodule(module))
            assert kernel is not None
            gone = {axis.kind: axis.counted(wiring.number(name), size) for axis in axes}
            none = torch.zeros(size, dtype=torch.long)
            outputs = kernel.outputs - gone.get("out", none) - gone.get("both", none)
            inputs = (kernel.inputs - gone.get("in", none)) // kernel.groups
            left = outputs * inputs * kernel.taps
            saved += (kernel.weights - left) * self._positions[module]
        return saved

    def _counting(self, name: str) -> Any:
        def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            kernel = kernel_of(module)
            assert kernel is not None
            transposed = isinstance(module, TRANSPOSED)
            places = (
                inputs[0].numel() // kernel.inputs
                if transposed
                else output.numel() // kernel.outputs
            )
            self._positions[name] = self._positions.get(name, 0) + places

        return note
