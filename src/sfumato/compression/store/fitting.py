"""Making an unpruned model as small as a stored network, and filling in its values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from sfumato.compression.store.layout import (
    is_of_torch,
    parts,
    same_settings,
    whole_numbers,
    widths,
)
from sfumato.errors import StoreError


def fit(
    model: nn.Module, layers: Mapping[str, Mapping[str, Any]], tensors: Mapping[str, Tensor]
) -> None:
    """Shrink `model` in place to the stored widths, and give it the stored values.

    Args:
        model: the unpruned network, or one as small already.
        layers: as `describe` says them.
        tensors: the state dict.

    Raises:
        StoreError: the model's structure is another one.
    """
    inside = dict(parts(model))
    _check_names("modules", inside, layers)
    for name, part in inside.items():
        _resize(name or "the network", part, layers[name])
    _fill(model, tensors)
    for name, part in inside.items():
        _check_kernel(name or "the network", part)


def _check_names(what: str, ours: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
    missing = [name for name in stored if name not in ours]
    extra = [name for name in ours if name not in stored]
    if missing or extra:
        lacks = f"lacks {', '.join(missing[:3])}" if missing else ""
        has = f"has {', '.join(extra[:3])}" if extra else ""
        raise StoreError(
            f"the model is not the one that was pruned: of its {what} it "
            f"{' and '.join(filter(None, (lacks, has)))}, unlike the stored network"
        )


def _resize(name: str, part: nn.Module, entry: Mapping[str, Any]) -> None:
    if type(part).__name__ != entry["type"]:
        raise StoreError(
            f"the model is not the one that was pruned: {name} is a {type(part).__name__}, and was "
            f"a {entry['type']}"
        )
    difference = same_settings(part, entry.get("settings", {}))
    if difference:
        raise StoreError(f"the model is not the one that was pruned: of {name}, {difference}")
    known = widths(part) if is_of_torch(part) else {**whole_numbers(part), **widths(part)}
    for key, value in entry.get("widths", {}).items():
        if key not in known:
            raise StoreError(f"the model is not the one that was pruned: {name} has no {key}")
        if not _fits(value, known[key]):
            raise StoreError(
                f"the stored network has {key} {value} in {name}, and the model {known[key]}: give "
                "the network as it was before pruning"
            )
        setattr(part, key, tuple(value) if isinstance(value, list) else value)


def _fits(stored: Any, own: Any) -> bool:
    if isinstance(stored, list) or isinstance(own, list):
        both = isinstance(stored, list) and isinstance(own, list) and len(stored) == len(own)
        return both and all(_fits(one, other) for one, other in zip(stored, own, strict=True))
    return stored <= own


def _fill(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    state = model.state_dict(keep_vars=True)
    _check_names("parameters and buffers", state, tensors)
    made: dict[int, Tensor] = {}
    for name, own in state.items():
        _check_shape(name, tuple(own.shape), tuple(tensors[name].shape))
        path, _, attribute = name.rpartition(".")
        owner = model.get_submodule(path)
        if id(own) not in made:  # what the model ties stays tied
            made[id(own)] = _like(own, tensors[name])
        new = made[id(own)]
        if isinstance(new, nn.Parameter):
            owner._parameters[attribute] = new
        else:
            owner._buffers[attribute] = new


def _like(own: Tensor, stored: Tensor) -> Tensor:
    if own.device.type != "meta":
        stored = stored.to(own.device)
    if isinstance(own, nn.Parameter):
        return nn.Parameter(stored, requires_grad=own.requires_grad)
    return stored


def _check_shape(name: str, own: tuple[int, ...], stored: tuple[int, ...]) -> None:
    smaller = len(own) == len(stored) and all(
        one <= other for one, other in zip(stored, own, strict=True)
    )
    if not smaller:
        raise StoreError(
            f"{name} is stored as {list(stored)}, and the model has {list(own)}: give the network "
            "as it was before pruning"
        )


def _check_kernel(name: str, part: nn.Module) -> None:
    """The widths that are written and the weights that lie beside them must agree."""
    if isinstance(part, nn.Linear):
        wanted = (part.out_features, part.in_features)
    elif isinstance(part, _ConvNd):
        outputs, inputs = part.out_channels, part.in_channels
        if isinstance(part, _ConvTransposeNd):
            outputs, inputs = inputs, outputs
        wanted = (outputs, inputs // part.groups, *part.kernel_size)
    else:
        return
    if tuple(part.weight.shape) != wanted:
        raise StoreError(
            f"the weights of {name} are {list(part.weight.shape)}, and its widths say "
            f"{list(wanted)}: the files do not belong together"
        )
