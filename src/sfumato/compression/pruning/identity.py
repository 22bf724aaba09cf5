"""What makes one run of pruning another: a tag that is the same in every process."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
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
        return _name(value)
    if type(value).__module__ != "builtins" and hasattr(value, "__dict__"):
        return _name(type(value)) + _said(vars(value))
    return repr(value)


def _name(thing: Any) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"
