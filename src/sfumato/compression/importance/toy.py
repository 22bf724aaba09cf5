"""A small scene that is always the same, for the contract test of an importance."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from sfumato.compression.importance.scene import Scene
from sfumato.compression.kernels import STOCHASTIC
from sfumato.compression.noisy import stochastic
from sfumato.compression.wiring import Wiring
from sfumato.errors import SettingError
from sfumato.train import seeded

ToyKind = Literal["dense", "convolutional"]


def toy_scene(kind: str, *, noisy: bool = True, mirrored: bool = False) -> Scene:
    """A network with two hidden layers, of five neurons and four, and 40 records of 3 classes.

    Neuron 0 of every hidden layer never fires; neuron 4, when mirrored, and 3.

    Args:
        kind: `"dense"` or `"convolutional"`.
        noisy: the hidden layers are stochastic.
        mirrored: the neurons of every hidden layer stand in reverse order.

    Raises:
        SettingError: an unknown kind.
    """
    if kind not in ("dense", "convolutional"):
        raise SettingError(f"unknown kind {kind!r}: use 'dense' or 'convolutional'")
    with seeded("toy importance", kind):
        inputs = torch.randn(40, 6) if kind == "dense" else torch.randn(40, 1, 6, 6)
        labels = torch.arange(40) % 3
        model = stochastic(_dense() if kind == "dense" else _convolutional())
    _silence(model)
    if mirrored:
        _mirror(model)
    if not noisy:
        from sfumato.compression.collapsing import collapse

        model = collapse(model)
    return Scene(model, Wiring(model, inputs), inputs, labels)


def _dense() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))


def _convolutional() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 5, 3), nn.ReLU(), nn.Conv2d(5, 4, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(16, 3),
    )  # fmt: skip


@torch.no_grad()
def _silence(model: nn.Module) -> None:
    for layer in model.modules():
        if isinstance(layer, STOCHASTIC) and layer.bias is not None:
            layer.bias[0] = -99.0


@torch.no_grad()
def _mirror(model: nn.Module) -> None:
    """Reverse the neurons of every hidden layer, where they are made and where they are read."""
    before = 0  # how many neurons the layer before made
    for layer in model.modules():
        if not isinstance(layer, (*STOCHASTIC, nn.Linear)):
            continue
        if before:
            by_neuron = layer.weight.unflatten(1, (before, -1))
            layer.weight.copy_(by_neuron.flip(1).flatten(1, 2))
        if isinstance(layer, STOCHASTIC):
            before = layer.operator.outputs
            for values in (layer.weight, layer.bias):
                if values is not None:
                    values.copy_(values.unflatten(0, (-1, before)).flip(1).flatten(0, 1))
