"""One step of a layer, and what its graph keeps for the backward pass."""

from __future__ import annotations

import weakref
from typing import final

import torch
from torch import Tensor

from sfumato.bench.case import Model

MIB = 2**20


@final
class Step:
    """A forward pass and, for training, the backward pass to the input and all parameters.

    The backward pass starts from one fixed gradient of the output (and 1 for a KL); gradients are
    made anew, as after `zero_grad(set_to_none=True)`.

    Args:
        model: the layer and its call.
        x: the records.
        train: with the backward pass; without it no graph is made.
    """

    def __init__(self, model: Model, x: Tensor, train: bool = True) -> None:
        self.model, self.train = model, train
        self.x = x.detach().clone().requires_grad_(train)
        trained = [p for p in model.module.parameters() if p.requires_grad]
        self.leaves = [self.x, *trained] if train else []
        self._upstream: tuple[Tensor, ...] | None = None

    def __call__(self) -> None:
        if self.train:
            self.gradients()
        else:
            with torch.no_grad():
                self.model.call(self.x)

    def forward(self) -> tuple[Tensor, ...]:
        """The output, or output and KL."""
        result = self.model.call(self.x)
        return result if isinstance(result, tuple) else (result,)

    def gradients(self) -> tuple[Tensor | None, ...]:
        """The gradients of input and parameters; None for what the output does not depend on."""
        outputs = self.forward()
        if self._upstream is None:
            first, *rest = outputs
            drawn = torch.randn_like(first)
            self._upstream = (drawn, *(torch.ones_like(other) for other in rest))
        # A peer may hold parameters that its forward pass does not use.
        return torch.autograd.grad(outputs, self.leaves, self._upstream, allow_unused=True)

    def saved_mib(self) -> float:
        """What one forward pass saves for the backward pass, in MiB.

        Every storage counts once and whole; those of parameters and input do not count, since they
        are there anyway.
        """
        given = {leaf.untyped_storage().data_ptr() for leaf in self.leaves}
        seen: list[weakref.ref[_Kept]] = []

        def pack(saved: Tensor) -> _Kept:
            kept = _Kept(saved)
            seen.append(weakref.ref(kept))
            return kept

        with torch.autograd.graph.saved_tensors_hooks(pack, _Kept.unpack):
            outputs = self.forward()
        # What belongs to a part of the graph that is gone again has not been kept.
        kept = [alive.saved.untyped_storage() for ref in seen if (alive := ref()) is not None]
        sizes = {storage.data_ptr(): storage.nbytes() for storage in kept}
        del outputs
        return sum(size for where, size in sizes.items() if where not in given) / MIB

    def traffic_mib(self, saved_mib: float) -> float:
        """The least that the step moves to and from memory, in MiB, with `saved_mib` saved.

        The forward pass reads input and parameters, and writes the output and what it saves. The
        backward pass reads all of these once more (the output's gradient in place of the output)
        and writes the gradients of input and parameters.
        """
        with torch.no_grad():
            outputs = self.forward()
        given = [self.x, *self.model.module.parameters()]
        once = sum(tensor.nbytes for tensor in (*given, *outputs)) / MIB + saved_mib
        gradients = sum(leaf.nbytes for leaf in self.leaves) / MIB
        return 2 * once + gradients if self.train else once


@final
class _Kept:
    """A tensor that a graph keeps."""

    def __init__(self, saved: Tensor) -> None:
        self.saved = saved.detach()  # with its history, an output would keep its own graph alive

    def unpack(self) -> Tensor:
        return self.saved
