"""Removing neurons at once: those that are named, or those that never fire."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sfumato.compression.counting import evaluating
from sfumato.compression.kernels import channel_axis, on_input
from sfumato.compression.wiring import Wiring
from sfumato.compression.wiring.axes import Axis
from sfumato.compression.wiring.wired import Neurons, check_records
from sfumato.errors import DataError


def remove(
    model: nn.Module, inputs: Tensor, neurons: Neurons, keep: Sequence[str] = ()
) -> nn.Module:
    """A smaller copy, without these neurons.

    It is the function that `model` is while the neurons' activations are zero (`masking`), to
    rounding. Layers that read them get narrower with the layers that make them.

    Args:
        model: a plain network, or one with stochastic layers; it is left as it is.
        inputs: a few records `[B, ...]`, by which the network is followed.
        neurons: by layer (`Wiring.groups` tells which), the numbers of the neurons or channels.
        keep: names or patterns of layers whose neurons all stay, which need not be followed then.

    Returns:
        The copy, of the same kind of layers.

    Raises:
        SettingError: no such layer or neuron, a layer would lose its last one, or the network
            cannot be followed; the message names the layer.
        MissingDependency: torch-pruning is not installed.

    Example:
        >>> import torch
        >>> from sfumato.train import mlp
        >>> remove(mlp((4,), 2, (3,)), torch.zeros(1, 4), {"1": [0, 2]})[1]
        Linear(in_features=4, out_features=1, bias=True)
    """
    wiring = Wiring(model, inputs, keep)
    smaller = copy.deepcopy(model)
    wiring.remove(smaller, neurons)
    return smaller


@contextmanager
def masking(
    model: nn.Module, inputs: Tensor, neurons: Neurons, keep: Sequence[str] = ()
) -> Iterator[nn.Module]:
    """The activations of these neurons are zero inside the `with` block.

    Args:
        model: the network.
        inputs: a few records `[B, ...]`, by which the network is followed.
        neurons: by layer, the numbers of the neurons or channels.
        keep: names or patterns of layers whose neurons all stay.

    Yields:
        `model` itself.

    Raises:
        SettingError: no such layer or neuron, or the network cannot be followed.
    """
    wiring = Wiring(model, inputs, keep)
    wiring.checked(neurons)
    with wiring.masking(model, neurons):
        yield model


def silent_neurons(
    model: nn.Module, inputs: Tensor, keep: Sequence[str] = (), batch_size: int = 1024
) -> dict[str, list[int]]:
    """Neurons that are zero wherever they are read, on all of these records (spec 4 §4.1).

    Such a neuron never fires: its ReLU, after a batch norm or not, gives zero for every record
    and position, on the mean path. Without it the network gives the same for these records.

    Args:
        model: the network.
        inputs: the training records `[N, ...]`.
        keep: names or patterns of layers whose neurons all stay.
        batch_size: records at a time.

    Returns:
        By layer, their numbers; a layer of which all neurons are silent keeps its first.

    Raises:
        DataError: there is no record, or a value is NaN or infinite.
        SettingError: the network cannot be followed.

    Example:
        >>> import torch
        >>> from sfumato.train import mlp
        >>> network = mlp((4,), 2, (3,))
        >>> _ = network[1].bias.data.copy_(torch.tensor([9.0, -9.0, 9.0]))
        >>> silent_neurons(network, torch.zeros(5, 4))
        {'1': [1]}
    """
    return silent_in(Wiring(model, inputs, keep), model, inputs, batch_size)


def remove_silent(
    model: nn.Module, inputs: Tensor, keep: Sequence[str] = (), batch_size: int = 1024
) -> nn.Module:
    """A smaller copy without the neurons that `silent_neurons` finds.

    Args:
        model: the network; it is left as it is.
        inputs: the training records `[N, ...]`.
        keep: names or patterns of layers whose neurons all stay.
        batch_size: records at a time.

    Returns:
        The copy: on these records the same function, to rounding.

    Raises:
        DataError: there is no record, or a value is NaN or infinite.
        SettingError: the network cannot be followed.
    """
    wiring = Wiring(model, inputs, keep)
    smaller = copy.deepcopy(model)
    wiring.remove(smaller, silent_in(wiring, model, inputs, batch_size))
    return smaller


def silent_in(
    wiring: Wiring, model: nn.Module, inputs: Tensor, batch_size: int = 1024
) -> dict[str, list[int]]:
    """`silent_neurons` of a network whose wiring is known."""
    check_records(inputs)
    axes = {axis.module: axis for name in wiring.groups for axis in wiring.reads(name)}
    fired = {name: torch.zeros(len(axis.group), dtype=torch.bool) for name, axis in axes.items()}
    hooks = [
        on_input(model.get_submodule(name), _noting(fired, axis)) for name, axis in axes.items()
    ]
    try:
        with evaluating(model), torch.no_grad():
            for batch in inputs.split(batch_size):
                model(batch)
    finally:
        for hook in hooks:
            hook.remove()
    found: dict[str, list[int]] = {}
    for name, size in wiring.sizes.items():
        alive = sum(
            axis.summed(fired[axis.module].long(), wiring.number(name), size)
            for axis in wiring.reads(name)
        )
        silent = (torch.as_tensor(alive) == 0).nonzero().flatten().tolist()
        silent = silent[1:] if len(silent) == size else silent
        if silent:
            found[name] = silent
    return found


def _noting(fired: dict[str, Tensor], axis: Axis) -> Any:
    def note(module: nn.Module, x: Tensor) -> None:
        if not bool(x.isfinite().all()):
            raise DataError(f"what {axis.module!r} reads is NaN or infinite: train the model anew")
        where = channel_axis(module, x)
        others = [number for number in range(x.dim()) if number != where]
        fired[axis.module] |= (x != 0).sum(others).bool().cpu()

    return note
