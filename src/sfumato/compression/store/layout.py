"""The widths of a network, layer by layer, and what must stay as it is when they change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

Widths: TypeAlias = dict[str, Any]  # whole numbers, or lists of them

# What pruning changes, by torch's class.
_WIDTHS: tuple[tuple[type[nn.Module], tuple[str, ...]], ...] = (
    (nn.Linear, ("in_features", "out_features")),
    (_ConvNd, ("in_channels", "out_channels", "groups")),
    (_NormBase, ("num_features",)),
    (nn.GroupNorm, ("num_channels", "num_groups")),
    (nn.LayerNorm, ("normalized_shape",)),
    (nn.PReLU, ("num_parameters",)),
    (nn.Embedding, ("num_embeddings", "embedding_dim")),
    (nn.MultiheadAttention, ("embed_dim", "kdim", "vdim", "num_heads", "head_dim")),
    (nn.RNNBase, ("input_size", "hidden_size")),
)

# What has no part in what a trained network computes.
_IRRELEVANT = {"training", "inplace", "momentum", "p", "dropout"}


# Whose settings say what they compute, in a class derived from them as well.
_DERIVED = (nn.Linear, _ConvNd, _NormBase, nn.GroupNorm, nn.LayerNorm, nn.Embedding)


def describe(model: nn.Module, like: nn.Module | None) -> dict[str, dict[str, Any]]:
    """Type, widths and settings of every module by name, as JSON values.

    A class of torch has known widths, and settings (stride, eps, ...) that are written as text and
    compared as such. Of another class's whole numbers those are widths in which `model` differs
    from the unpruned `like`.
    """
    before = {} if like is None else dict(like.named_modules())
    return {name: _entry(part, before.get(name)) for name, part in parts(model)}


def parts(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """All modules but torch's containers, with their names."""
    for name, part in model.named_modules():
        if not is_container(part):
            yield name, part


def is_container(part: nn.Module) -> bool:
    """Whether a module is a list of others and nothing more."""
    return isinstance(part, nn.Sequential | nn.ModuleList | nn.ModuleDict)


def is_of_torch(part: nn.Module) -> bool:
    """Whether its class is one of torch's own."""
    return type(part).__module__.startswith("torch.nn.")


def widths(part: nn.Module) -> Widths:
    """The widths of a module of torch."""
    names = next((names for kind, names in _WIDTHS if isinstance(part, kind)), ())
    return {name: _plain(getattr(part, name)) for name in names}


def settings(part: nn.Module) -> dict[str, str]:
    """What pruning leaves as it is in a module of torch, or one derived from it, as text."""
    if not isinstance(part, _DERIVED) and not is_of_torch(part):
        return {}
    known = widths(part)
    return {
        name: repr(value)
        for name, value in sorted(vars(part).items())
        if not name.startswith("_")
        and name not in known
        and name not in _IRRELEVANT
        and _is_setting(value)
    }


def whole_numbers(part: nn.Module) -> Widths:
    """Whole numbers among the public attributes of a module."""
    return {
        name: value
        for name, value in vars(part).items()
        if not name.startswith("_") and isinstance(value, int) and not isinstance(value, bool)
    }


def _entry(part: nn.Module, before: nn.Module | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": type(part).__name__}
    now, then = widths(part), {} if before is None else widths(before)
    if not is_of_torch(part) and before is not None:
        was = whole_numbers(before)
        changed = {
            name: value
            for name, value in whole_numbers(part).items()
            if name not in now and was.get(name, value) != value
        }
        now.update(changed)
        then.update({name: was[name] for name in changed})
    more = {"widths": now, "before": {} if then == now else then, "settings": settings(part)}
    return entry | {key: values for key, values in more.items() if values}


def _is_setting(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(_is_setting(one) for one in value)
    return value is None or isinstance(value, (bool, int, float, str))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def is_width(value: Any) -> bool:
    """Whether a JSON value can be a width."""
    if isinstance(value, list):
        return bool(value) and all(is_width(one) for one in value)
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def same_settings(part: nn.Module, stored: Mapping[str, str]) -> str:
    """The first setting in which `part` differs from what is stored; empty where none does.

    Settings that only one of the two has are passed over: torch's versions add some.
    """
    for name, value in settings(part).items():
        if name in stored and stored[name] != value:
            return f"{name} is {value}, and was {stored[name]}"
    return ""
