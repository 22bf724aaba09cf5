"""Where a gate can stand in a network, and where its mean can go afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, final

import torch
import torch.nn.functional as F
from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

Layer: TypeAlias = nn.Linear | _ConvNd

_HOMOGENEOUS = (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.Identity)
_HOMOGENEOUS_CALLS: set[Any] = {F.relu, torch.relu, F.leaky_relu, "relu"}
_ACTIVATIONS = (
    *_HOMOGENEOUS, nn.Tanh, nn.Sigmoid, nn.ELU, nn.GELU, nn.SiLU, nn.Softplus, nn.Hardtanh,
    nn.ReLU6, nn.Hardswish, nn.Mish, nn.SELU, nn.CELU, nn.Hardsigmoid, nn.LogSigmoid, nn.Softsign,
)  # fmt: skip
_ACTIVATION_CALLS: set[Any] = {
    *_HOMOGENEOUS_CALLS, torch.tanh, torch.sigmoid, F.elu, F.gelu, F.silu, F.softplus, F.hardtanh,
    F.relu6, F.hardswish, F.mish, F.selu, "tanh", "sigmoid",
}  # fmt: skip

# What a channel passes through alone: zero stays zero, and a factor above 0 stays a factor.
_PASSING = (
    nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d,
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool1d,
    nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d, nn.Flatten, nn.Dropout, nn.Dropout1d, nn.Dropout2d,
    nn.Dropout3d, nn.Identity, nn.ReLU, nn.LeakyReLU,
)  # fmt: skip
_PASSING_CALLS: set[Any] = {
    torch.flatten, F.relu, torch.relu, F.leaky_relu, F.max_pool1d, F.max_pool2d, F.max_pool3d,
    F.avg_pool1d, F.avg_pool2d, F.avg_pool3d, F.adaptive_avg_pool1d, F.adaptive_avg_pool2d,
    F.adaptive_avg_pool3d, F.dropout, F.dropout2d, "flatten", "contiguous", "relu",
}  # fmt: skip
_MOVING: set[Any] = {torch.cat, torch.concat, torch.concatenate, "view", "reshape"}
_SIZES: set[Any] = {"size", "dim", getattr}


@final
@dataclass(frozen=True)
class Place:
    """A hidden layer after whose activation a gate can stand.

    Args:
        layer: its name.
        norm: the batch norm behind it, or empty.
        node: the node of the graph whose value is gated.
        channels: outputs of the layer.
        folds_back: the mean can be folded into the layer (or its norm); else into `readers`.
        readers: the layers that read the gated value.
        moved: on the way to them channels may change their places: it is concatenated or reshaped.
    """

    layer: str
    norm: str
    node: str
    channels: int
    folds_back: bool
    readers: tuple[str, ...]
    moved: bool

    @property
    def holds_mean(self) -> tuple[str, ...]:
        """The layers into which the mean is folded at the end."""
        return (self.norm or self.layer,) if self.folds_back else self.readers


def places(model: nn.Module, graph: fx.Graph) -> tuple[dict[str, Place], dict[str, str]]:
    """Every hidden layer with its place, and why the others have none."""
    inside = dict(model.named_modules())
    found: dict[str, Place] = {}
    refused: dict[str, str] = {}
    for node in graph.nodes:
        part = _module(node, inside)
        if not isinstance(part, nn.Linear | _ConvNd):
            continue
        name = str(node.target)
        try:
            found[name] = _place(node, part, inside, graph)
        except _NoPlaceError as reason:
            refused[name] = str(reason)
    return found, refused


class _NoPlaceError(Exception):
    """Why there can be no gate after a layer."""


def _place(node: fx.Node, part: Layer, inside: dict[str, nn.Module], graph: fx.Graph) -> Place:
    if isinstance(part, _ConvTransposeNd) or getattr(part, "groups", 1) != 1:
        raise _NoPlaceError("it is a transposed or a grouped convolution")
    if sum(other.target == node.target for other in graph.nodes if other.op == "call_module") > 1:
        raise _NoPlaceError("it is called more than once")
    norm, at = "", node
    following = _only_user(at)
    if following is not None and isinstance(_module(following, inside), _BatchNorm):
        norm, at = str(following.target), following
        following = _only_user(at)
    homogeneous = True
    if following is not None and _is_activation(following, inside):
        at, homogeneous = following, _is_homogeneous(following, inside)
    readers, moved = _readers(at, inside)
    channels = part.out_features if isinstance(part, nn.Linear) else part.out_channels
    affine = not norm or bool(getattr(inside[norm], "affine", False))
    place = Place(str(node.target), norm, at.name, channels, homogeneous and affine, readers, moved)
    for name in place.holds_mean:
        _check_alone(name, inside, graph)
    if not place.folds_back and moved:
        raise _NoPlaceError(
            "its activation is no rectifier, and is concatenated or reshaped before it is read"
        )
    return place


def _check_alone(name: str, inside: dict[str, nn.Module], graph: fx.Graph) -> None:
    """What the mean is folded into must serve nobody else."""
    if sum(node.target == name for node in graph.nodes if node.op == "call_module") > 1:
        raise _NoPlaceError(f"its mean would go into {name}, which is called more than once")
    own = set(inside[name].parameters())
    for other, part in inside.items():
        if part is not inside[name] and not own.isdisjoint(part.parameters(recurse=False)):
            raise _NoPlaceError(f"its mean would go into {name}, which shares values with {other}")


def misfit(
    place: Place, graph: fx.Graph, inside: dict[str, nn.Module], shapes: Mapping[str, torch.Size]
) -> str:
    """Why channels do not lie where a gate looks for them; empty where they do."""
    shape, linear = shapes[place.node], isinstance(inside[place.layer], nn.Linear)
    if len(shape) < 2 or shape[1] != place.channels or (linear and len(shape) > 2):
        return f"its channels are not on axis 1 of its output {list(shape)}, and there alone"
    if place.folds_back:
        return ""
    for node in graph.nodes:
        if node.op == "call_module" and node.target in place.readers:
            read = shapes[(*node.args, *node.kwargs.values())[0].name]
            if isinstance(inside[node.target], nn.Linear):
                fits = len(read) == 2 and read[1] % place.channels == 0
            else:
                fits = read[1] == place.channels
            if not fits:
                return f"{node.target} reads it in another order, {list(read)}"
    return ""


def _readers(start: fx.Node, inside: dict[str, nn.Module]) -> tuple[tuple[str, ...], bool]:
    """The layers that read the value of a node, channel by channel."""
    readers: dict[str, None] = {}
    moved, todo = False, [start]
    while todo:
        node = todo.pop()
        for user in node.users:
            part = _module(user, inside)
            if isinstance(part, nn.Linear | _ConvNd):
                if isinstance(part, _ConvTransposeNd) or getattr(part, "groups", 1) != 1:
                    raise _NoPlaceError(f"{user.target} reads it, which is transposed or grouped")
                readers[str(user.target)] = None
            elif _passes(user, part):
                todo.append(user)
            elif user.target in _MOVING:
                moved = True
                todo.append(user)
            elif user.op == "output":
                raise _NoPlaceError("no layer reads it: it is the network's output")
            elif user.target not in _SIZES:
                raise _NoPlaceError(f"its value goes into {user.target or user.op}, with others")
    if not readers:
        raise _NoPlaceError("no layer reads it")
    return tuple(readers), moved


def _passes(node: fx.Node, part: nn.Module | None) -> bool:
    if part is not None:
        return isinstance(part, _PASSING)
    return node.op in ("call_function", "call_method") and node.target in _PASSING_CALLS


def _is_activation(node: fx.Node, inside: dict[str, nn.Module]) -> bool:
    part = _module(node, inside)
    return isinstance(part, _ACTIVATIONS) or (part is None and node.target in _ACTIVATION_CALLS)


def _is_homogeneous(node: fx.Node, inside: dict[str, nn.Module]) -> bool:
    part = _module(node, inside)
    return isinstance(part, _HOMOGENEOUS) or (part is None and node.target in _HOMOGENEOUS_CALLS)


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _module(node: fx.Node, inside: dict[str, nn.Module]) -> nn.Module | None:
    return inside.get(str(node.target)) if node.op == "call_module" else None
