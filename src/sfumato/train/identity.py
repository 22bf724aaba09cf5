"""What makes one run another: a tag that is the same in every process."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import CodeType, FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor, nn


def tag_of(*parts: Any) -> str:
    """A digest of settings, functions, tensors and networks."""
    return hashlib.sha256("/".join(map(_said, parts)).encode()).hexdigest()[:16]


def _said(value: Any) -> str:
    if isinstance(value, Tensor):
        whole = value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
        return f"{value.dtype}{tuple(value.shape)}{hashlib.sha256(whole.tobytes()).hexdigest()}"
    if isinstance(value, nn.Module):
        return f"{value}{_said(dict(value.state_dict().items()))}"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{_said(each)}' for key, each in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_said, value))}]"
    if isinstance(value, functools.partial):
        return f"partial{_said([value.func, value.args, value.keywords])}"
    if is_dataclass(value) and not isinstance(value, type):
        return _name(type(value)) + _said({f.name: getattr(value, f.name) for f in fields(value)})
    if callable(value) and hasattr(value, "__qualname__"):
        return _function(value)
    if type(value).__module__ != "builtins" and hasattr(value, "__dict__"):
        return _name(type(value)) + _said(vars(value))
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _function(function: Any, above: tuple[Any, ...] = ()) -> str:
    """A function by its name; a lambda, or one made in another, also by its code and values."""
    if isinstance(function, MethodType):
        return f"{_said(function.__self__)}.{function.__name__}"
    name = _name(function)
    if "<" not in name or not isinstance(function, FunctionType) or function in above:
        return name
    held = [*_contents(function), function.__defaults__, function.__kwdefaults__]
    values = ",".join(_held(value, (*above, function)) for value in held)
    return f"{name}{_code(function.__code__)}[{values}]"


def _held(value: Any, above: tuple[Any, ...]) -> str:
    try:
        return _function(value, above) if isinstance(value, FunctionType) else _said(value)
    except RecursionError:  # a logger, for example: what knows what knows it
        return _name(type(value))


def _contents(function: FunctionType) -> list[Any]:
    """What a function took along from where it was made."""
    found: list[Any] = []
    for cell in function.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:  # not given a value yet
            found.append("nothing")
    return found


def _code(code: CodeType) -> str:
    constants = [_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return f"({code.co_code.hex()}{code.co_names}{constants})"


def _name(thing: Any) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"
