"""Taking positions out of a layer, plain or stochastic, with what an optimiser knows of them."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn, optim

from sfumato.compression.kernels import STOCHASTIC, Stochastic, blocks
from sfumato.compression.wiring.axes import Axis

_NAMES = {"inputs": ("in_features", "in_channels"), "outputs": ("out_features", "out_channels")}


def cut(model: nn.Module, axis: Axis, drop: Tensor, optimizer: optim.Optimizer | None) -> None:
    """Take positions `drop` of an axis out of its layer, in place.

    Args:
        model: the network that the layer is in.
        axis: of the layer.
        drop: positions.
        optimizer: of the network; its averages of what stays are kept.
    """
    path, _, leaf = axis.module.rpartition(".")
    if axis.kind == "parameter":
        owner, names = model.get_submodule(path), (leaf,)
    else:
        owner, names = model.get_submodule(axis.module), ("weight", "bias")
    before = {n: p for n in names if (p := owner._parameters.get(n)) is not None}
    known = {} if optimizer is None else _averages(optimizer, before)
    ghosts = {key: _ghost(owner, values) for key, values in known.items()}
    for part in (owner, *ghosts.values()):
        _cut(part, axis, drop, leaf)
    for name, old in before.items():
        new = owner._parameters[name]
        assert new is not None
        new.requires_grad_(old.requires_grad)
        new.grad = None
        if optimizer is not None:
            after = {key: _values(ghost, name) for key, ghost in ghosts.items()}
            _hand_over(optimizer, old, new, {k: after[k] for k in after if name in known[k]})


def _cut(owner: nn.Module, axis: Axis, drop: Tensor, leaf: str) -> None:
    if axis.kind == "parameter":
        old: Any = owner._parameters[leaf]
        kept = old.detach().index_select(axis.dim, _rest(old.shape[axis.dim], drop, old))
        owner._parameters[leaf] = nn.Parameter(kept)
    elif isinstance(owner, STOCHASTIC):
        _cut_stochastic(owner, axis.kind, drop)
    else:
        axis.handler(owner, drop.tolist())


def _cut_stochastic(layer: Stochastic, kind: str, drop: Tensor) -> None:
    operator: Any = layer.operator
    changes: dict[str, int] = {}
    weight, bias = layer.weight.detach(), layer.bias
    if kind in ("out", "both"):
        rest = _rest(operator.outputs, drop, weight)
        weight = blocks(layer, weight).index_select(1, rest).flatten(0, 1)
        if bias is not None:
            kept = blocks(layer, bias.detach()).index_select(1, rest).flatten(0, 1)
            layer.bias = nn.Parameter(kept)
        changes["outputs"] = len(rest)
    if kind == "in":
        rest = _rest(operator.inputs, drop, weight)
        changes["inputs"] = len(rest)
        # the same neurons of every group go, so that the first group's numbers serve for all
        weight = weight.index_select(1, rest[: len(rest) // getattr(operator, "groups", 1)])
    if kind == "both":  # depthwise: as many groups as channels
        changes |= {"inputs": changes["outputs"], "groups": changes["outputs"]}
    layer.weight = nn.Parameter(weight.contiguous())
    layer.operator = replace(operator, **changes)
    _tell(layer, changes)


def _tell(layer: Stochastic, changes: dict[str, int]) -> None:
    """Bring what a user reads from the layer (in_features, groups) in line."""
    for size, value in changes.items():
        for name in _NAMES.get(size, (size,)):
            if name in vars(layer):
                setattr(layer, name, value)


def _rest(length: int, drop: Tensor, like: Tensor) -> Tensor:
    stays = torch.ones(length, dtype=torch.bool)
    stays[drop] = False
    return stays.nonzero().flatten().to(like.device)


def _averages(
    optimizer: optim.Optimizer, parameters: dict[str, nn.Parameter]
) -> dict[str, dict[str, Tensor]]:
    """By the name of a state, its values for each parameter that they are as large as."""
    found: dict[str, dict[str, Tensor]] = {}
    for name, parameter in parameters.items():
        for key, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                found.setdefault(key, {})[name] = value
    return found


def _ghost(owner: nn.Module, values: dict[str, Tensor]) -> nn.Module:
    """A copy of the layer that holds averages in place of its parameters."""
    ghost = copy.copy(owner)
    ghost._parameters = dict(owner._parameters)
    ghost._buffers = dict(owner._buffers)
    for name, value in values.items():
        ghost._parameters[name] = nn.Parameter(value)
    return ghost


def _values(ghost: nn.Module, name: str) -> Tensor:
    values = ghost._parameters[name]
    assert values is not None
    return values.detach()


def _hand_over(
    optimizer: optim.Optimizer, old: nn.Parameter, new: nn.Parameter, state: dict[str, Tensor]
) -> None:
    """Let the optimiser go on with `new` where it had `old`."""
    before = optimizer.state.pop(old, {})
    if before:
        optimizer.state[new] = {**before, **state}
    for settings in optimizer.param_groups:
        settings["params"] = [new if p is old else p for p in settings["params"]]
