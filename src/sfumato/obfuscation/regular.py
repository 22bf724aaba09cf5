"""Regular layers as JSON: those whose settings say all, so that no code is read from a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from sfumato.nn import ClipNorm

_DEEPEST = 8

# The arguments of each known module that stand on it under their own names.
_KNOWN: dict[type[nn.Module], tuple[str, ...]] = {
    nn.Identity: (),
    nn.Flatten: ("start_dim", "end_dim"),
    nn.Unflatten: ("dim", "unflattened_size"),
    nn.Linear: ("in_features", "out_features"),
    nn.Conv2d: (
        "in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups",
        "padding_mode",
    ),
    nn.ReLU: (),
    nn.Tanh: (),
    nn.MaxPool2d: ("kernel_size", "stride", "padding", "dilation", "ceil_mode"),
    nn.AvgPool2d: ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"),
    ClipNorm: ("radius",),
}  # fmt: skip
_BIASED = (nn.Linear, nn.Conv2d)
_BY_NAME: dict[str, Callable[..., nn.Module]] = {kind.__name__: kind for kind in _KNOWN}


def describe_regular(module: nn.Module) -> dict[str, Any] | None:
    """What `build_regular` makes the same module from; None where it is not of a known kind."""
    if type(module) is nn.Sequential:
        parts = {name: describe_regular(part) for name, part in module.named_children()}
        if any(part is None for part in parts.values()):
            return None
        return {"type": "Sequential", "modules": parts}
    names = _KNOWN.get(type(module))
    if names is None or getattr(module, "return_indices", False):
        return None
    arguments = {name: _plain(getattr(module, name)) for name in names}
    if isinstance(module, _BIASED):
        arguments["bias"] = module.bias is not None
    return {"type": type(module).__name__, "arguments": arguments}


def build_regular(entry: Any, depth: int = 0) -> nn.Module:
    """The module that an entry describes.

    Raises:
        ValueError: it describes none.
    """
    if not isinstance(entry, dict) or depth > _DEEPEST:
        raise ValueError("the regular layers are not described as they should be")
    if entry.get("type") == "Sequential" and isinstance(entry.get("modules"), dict):
        made = nn.Sequential()
        for name, part in entry["modules"].items():
            made.add_module(name, build_regular(part, depth + 1))
        return made
    arguments = entry.get("arguments")
    if entry.get("type") not in _BY_NAME or not isinstance(arguments, dict):
        raise ValueError(f"{entry.get('type')!r} is no regular layer that can be read")
    sized = {name: tuple(v) if isinstance(v, list) else v for name, v in arguments.items()}
    return _BY_NAME[entry["type"]](**sized)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
