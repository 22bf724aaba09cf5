"""The wiring of a network: groups of neurons that can be removed."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, final

import torch
from torch import Tensor, nn, optim
from torch.nn.utils.parametrize import is_parametrized

from sfumato.compression.collapsing import collapse
from sfumato.compression.kernels import channel_axis, kernel_of, on_input
from sfumato.compression.wiring.analysis import analysed
from sfumato.compression.wiring.axes import Axis, Group
from sfumato.compression.wiring.cutting import cut
from sfumato.compression.wiring.trial import TRIED, tried
from sfumato.errors import DataError, SettingError

Neurons = Mapping[str, Sequence[int]]


@final
class Wiring:
    """Which numbers of a network belong to one neuron (or channel), by torch-pruning's graph.

    Follows residual additions, concatenations, batch norm, flattening, grouped and depthwise
    convolutions. It is made once, from the network as it is; `remove` keeps it in step. Every
    group is tried out: without one of its neurons, and without half of them, the network must be
    the same function as with their activations at zero.

    Args:
        model: a plain network, or one with stochastic layers; it is not changed.
        inputs: records `[B, ...]`; the first 16 are used.
        keep: names or patterns of layers whose neurons all stay, or of what holds such layers.

    Raises:
        DataError: there is no record, or a value is NaN or infinite.
        SettingError: nothing can be removed from the network; the message names the layer and
            says why.
        MissingDependency: torch-pruning is not installed.

    Example:
        >>> import torch
        >>> from sfumato.train import lenet5
        >>> wiring = Wiring(lenet5(), torch.zeros(2, 1, 28, 28))
        >>> {name: group.size for name, group in wiring.groups.items()}
        {'0': 20, '3': 50, '7': 500}
    """

    def __init__(self, model: nn.Module, inputs: Tensor, keep: Sequence[str] = ()) -> None:
        check_records(inputs)
        check_weights(model)
        few = inputs[:TRIED]
        plain = collapse(model).eval()
        _check_ties(plain)
        found, self._axes = analysed(plain, few[:2], keep)
        self._names = [group.name for group in found]
        self._sizes = {group.name: group.size for group in found}
        self._groups = {group.name: group for group in found}
        outer = [name for name in self._names if not tried(plain, self, name, few)]
        self._leave(outer)
        if not self.groups:
            raise SettingError("no neuron of this network can be removed: no layer is hidden")

    @property
    def groups(self) -> dict[str, Group]:
        """The groups as they are now, by the name of the first layer that makes their neurons."""
        return {
            name: Group(name, self._sizes[name], group.makers, group.readers)
            for name, group in self._groups.items()
        }

    @property
    def sizes(self) -> dict[str, int]:
        """How many neurons each group has now."""
        return dict(self._sizes)

    def remove(
        self, model: nn.Module, neurons: Neurons, optimizer: optim.Optimizer | None = None
    ) -> None:
        """Take neurons out of `model`, in place, and keep the wiring in step.

        Args:
            model: the network that this is the wiring of, plain or stochastic.
            neurons: by group, their numbers now.
            optimizer: of `model`; it goes on, with what it knows of the parameters that stay.

        Raises:
            SettingError: no such group or neuron; a group would lose its last neuron.
        """
        chosen = self.checked(neurons)
        for name, gone in chosen.items():
            number = self._names.index(name)
            for axis in self._axes:
                drop = axis.positions(number, gone)
                if len(drop):
                    cut(model, axis, drop, optimizer)
                    axis.drop(number, gone)
            self._sizes[name] -= len(gone)

    def checked(self, neurons: Neurons) -> dict[str, Tensor]:
        """Numbers of neurons as tensors, sorted.

        Raises:
            SettingError: no such group or neuron; a group would lose its last neuron.
        """
        found: dict[str, Tensor] = {}
        for name, numbers in neurons.items():
            size = self._sizes.get(name)
            if size is None:
                raise SettingError(
                    f"no neurons can be removed from {name!r}: {', '.join(self._sizes)} have some"
                )
            gone = torch.as_tensor(sorted(set(map(int, numbers))), dtype=torch.long)
            if len(gone) and not 0 <= int(gone[0]) <= int(gone[-1]) < size:
                raise SettingError(f"{name!r} has neurons 0 to {size - 1}, not {gone.tolist()}")
            if len(gone) >= size:
                raise SettingError(f"the last neuron of {name!r} stays: it has {size}")
            if len(gone):
                found[name] = gone
        return found

    def makes(self, name: str) -> list[Axis]:
        """The axes on which layers with a kernel make the neurons of a group."""
        return self._of(self._groups[name].makers, ("out", "both"))

    def reads(self, name: str) -> list[Axis]:
        """The axes on which layers with a kernel read the neurons of a group."""
        return self._of(self._groups[name].readers, ("in",))

    def axes(self, name: str) -> list[Axis]:
        """All axes on which neurons of a group lie."""
        number = self._names.index(name)
        return [axis for axis in self._axes if bool((axis.group == number).any())]

    def number(self, name: str) -> int:
        """By which number the axes know a group."""
        return self._names.index(name)

    @contextmanager
    def masking(self, model: nn.Module, neurons: Neurons) -> Iterator[nn.Module]:
        """The activations of these neurons are zero inside the block, wherever they are read.

        Args:
            model: the network that this is the wiring of.
            neurons: by group, their numbers now; all of a group may be named.
        """
        hooks: list[Any] = []
        for name, numbers in neurons.items():
            gone = torch.as_tensor(list(numbers), dtype=torch.long)
            for axis in self.reads(name):
                module = model.get_submodule(axis.module)
                where = axis.positions(self.number(name), gone)
                hooks.append(on_input(module, _zeroing(where)))
        try:
            yield model
        finally:
            for hook in hooks:
                hook.remove()

    def _of(self, names: Sequence[str], kinds: Sequence[str]) -> list[Axis]:
        return [axis for axis in self._axes if axis.module in names and axis.kind in kinds]

    def copy(self) -> Wiring:
        """A wiring of its own, for another copy of the network."""
        return copy.deepcopy(self, {id(axis.handler): axis.handler for axis in self._axes})

    def _leave(self, names: Sequence[str]) -> None:
        for name in names:
            del self._groups[name], self._sizes[name]


def _zeroing(where: Tensor) -> Any:
    def zero(module: nn.Module, x: Tensor) -> Tensor:
        return x.index_fill(channel_axis(module, x), where.to(x.device), 0.0)

    return zero


def check_records(inputs: Tensor) -> None:
    """Raise a `DataError` unless there are records without NaN."""
    if not isinstance(inputs, Tensor) or inputs.dim() < 2 or len(inputs) == 0:
        shape = list(inputs.shape) if isinstance(inputs, Tensor) else type(inputs).__name__
        raise DataError(f"records are a tensor [N, ...] with N above 0, not {shape}")
    if inputs.is_floating_point() and not bool(inputs.isfinite().all()):
        raise DataError("a record holds NaN or infinity: remove it, or put numbers in its place")


def check_weights(model: nn.Module) -> None:
    """Raise a `DataError` where a weight is NaN or infinite."""
    if not isinstance(model, nn.Module):
        raise SettingError(f"a model is a torch.nn.Module, not {type(model).__name__}")
    for name, module in model.named_modules():
        if is_parametrized(module) or hasattr(module, "weight_g"):
            raise SettingError(
                f"the weight of {name or 'the model'!r} is computed from other parameters (weight "
                "or spectral norm), from which nothing can be cut: call "
                "torch.nn.utils.parametrize.remove_parametrizations(layer, 'weight') or, of the "
                "older kind, torch.nn.utils.remove_weight_norm(layer) first"
            )
    for name, values in (*model.named_parameters(), *model.named_buffers()):
        if values.is_floating_point() and not bool(values.isfinite().all()):
            raise DataError(f"{name} of the network holds NaN or infinity: train it anew")


def _check_ties(plain: nn.Module) -> None:
    """Two layers that share a kernel cannot be cut apart."""
    owners: dict[Tensor, str] = {}
    for name, module in plain.named_modules():
        for parameter in module.parameters(recurse=False):
            other = owners.setdefault(parameter, name)
            if other != name and kernel_of(module) is not None:
                raise SettingError(
                    f"{other!r} and {name!r} share a parameter, so that no neuron of one can be "
                    "removed alone: give each its own"
                )
