"""What makes one module different from another, beyond settings and weights that are saved.

Two obfuscators of one digest must release alike: the privacy card of one stands for the other.
"""

from __future__ import annotations

import functools
import hashlib
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

_INTERNAL = frozenset(vars(nn.Module()))
_TRANSIENT = frozenset({"mode", "source", "draws", "_observers"})  # set for a while, from outside
_WORDS = (type(None), bool, int, float, complex, str, bytes, PurePath)
_NAMED = (torch.dtype, torch.device, torch.layout, torch.memory_format, type(Ellipsis))
_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)


def digest_of(obfuscator: Any) -> str:
    """SHA-256 over settings, weights and whatever else can be described."""
    from sfumato.obfuscation.store import describe

    digest = hashlib.sha256(repr(sorted(describe(obfuscator).items())).encode())
    for part in (obfuscator.layer, obfuscator.selection):
        if part is not None and any(part.children()):
            digest.update(str(part).encode())  # modules inside are no settings
    for name, values in sorted(obfuscator.state_dict().items()):
        digest.update(f"{name}{values.dtype}{tuple(values.shape)}".encode())
        digest.update(values.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    for line in fingerprint(obfuscator).lines:
        digest.update(line.encode())
    return digest.hexdigest()


def fingerprint(obfuscator: Any) -> Fingerprint:
    """What settings and weights do not say; nothing where all parts are sfumato's own."""
    from sfumato.obfuscation.regular import describe_regular

    made = Fingerprint()
    made.add_changes("obfuscator", obfuscator)
    for name in ("layer", "selection", "pre"):
        part = getattr(obfuscator, name)
        if part is not None:
            regular = name == "pre" and describe_regular(part) is not None
            made.add_module(name, part, described=regular)
    return made


@final
@dataclass
class Fingerprint:
    """Lines to hash, and the names of what no line can tell from something else.

    Functions, hooks, classes made inside of a function, and objects of a kind that is not known
    are of the latter sort: two of one name may do different things.

    Args:
        lines: what can be said, in the order of the modules.
        unclear: where something stands that cannot be described.
    """

    lines: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)

    def add_module(self, name: str, module: nn.Module, *, described: bool) -> None:
        """Add what a module holds beside its saved weights, and all inside of it.

        Args:
            name: how to call it.
            module: may be of any kind.
            described: its settings are known already; only what was hung on it counts.
        """
        for path, part in module.named_modules(prefix=name):
            self.add_changes(path, part)
            known = type(part).__module__.startswith("sfumato.") and hasattr(part, "config")
            if known:
                self._add_own(path, part)
            elif not described:
                self._add_part(path, part)

    def add_changes(self, path: str, part: nn.Module) -> None:
        """Add hooks, and methods that were replaced."""
        for hook in (*part._forward_pre_hooks.values(), *part._forward_hooks.values()):
            if not _loading(hook):
                self._unclear(f"{path}: a hook", _name(hook))
        for name in vars(part):
            if name not in _INTERNAL and callable(getattr(type(part), name, None)):
                self._unclear(f"{path}.{name}", "takes the place of a method")

    def _add_own(self, path: str, part: nn.Module) -> None:
        """Of a layer of sfumato's the law, of which the settings give the name alone."""
        for name in ("noise", "bound"):
            value = getattr(part, name, None)
            if not type(value).__module__.startswith(("sfumato.", "builtins")):
                self.lines.append(f"{path}.{name}={self._say(value, f'{path}.{name}', ())}")

    def _add_part(self, path: str, part: nn.Module) -> None:
        kind = type(part)
        self._add_kind(path, kind)
        plain = kind.__module__.startswith("torch.nn.")  # what is private there, is derived
        for name, value in sorted(vars(part).items()):
            hidden = name in _INTERNAL or name in _TRANSIENT or (plain and name.startswith("_"))
            if not hidden:
                self.lines.append(f"{path}.{name}={self._say(value, f'{path}.{name}', ())}")
        for name in sorted(part._non_persistent_buffers_set):
            self.lines.append(f"{path}.{name}={self._say(part._buffers.get(name), path, ())}")

    def _add_kind(self, path: str, kind: type) -> None:
        self.lines.append(f"{path}: {_name(kind)}")
        if "<locals>" in kind.__qualname__:
            self._unclear(path, f"{_name(kind)} was made inside of a function")

    def _unclear(self, where: str, what: str) -> str:
        self.lines.append(f"{where}?{what}")
        self.unclear.append(where)
        return "?"

    def _say(self, value: Any, where: str, around: tuple[int, ...]) -> str:
        """`value` in words that are the same in every process."""
        if id(value) in around:
            return "<around>"
        around = (*around, id(value))
        if isinstance(value, _WORDS) and type(value).__module__ in ("builtins", "pathlib"):
            return f"{type(value).__name__}:{value!r}"
        if isinstance(value, _NAMED):
            return str(value)
        if isinstance(value, (Tensor, np.ndarray, np.generic)):
            return self._say_array(value, where, around)
        if isinstance(value, nn.Module):
            return self._say_module(value, where)
        if isinstance(value, Enum):
            return f"{_name(type(value))}.{value.name}"
        if isinstance(value, (Mapping, list, tuple, set, frozenset)):
            return self._say_several(value, where, around)
        return self._say_object(value, where, around)

    def _say_array(self, value: Any, where: str, around: tuple[int, ...]) -> str:
        if isinstance(value, Tensor):
            if isinstance(value, (UninitializedParameter, UninitializedBuffer)):
                return "not there yet"
            if value.layout is not torch.strided or value.is_quantized or value.is_meta:
                return self._unclear(where, "a tensor that is not held as plain numbers")
            whole = value.detach().cpu().resolve_conj().resolve_neg().contiguous()
            parts = f"{value.dtype}{tuple(value.shape)}", whole.flatten().view(torch.uint8).numpy()
        elif value.dtype.hasobject:
            return self._say(value.tolist(), where, around)
        else:
            parts = f"{value.dtype}{value.shape}", np.ascontiguousarray(value)
        return f"{parts[0]}{hashlib.sha256(parts[1].tobytes()).hexdigest()}"

    def _say_module(self, module: nn.Module, where: str) -> str:
        """A module that is no child of the one it stands in, so that its weights are not saved."""
        self.add_module(where, module, described=False)
        return "; ".join(f"{k}={self._say(v, where, ())}" for k, v in module.state_dict().items())

    def _say_several(self, value: Any, where: str, around: tuple[int, ...]) -> str:
        def said(items: Iterable[Any]) -> list[str]:
            return [self._say(item, where, around) for item in items]

        if isinstance(value, Mapping):
            items = [f"{k}:{v}" for k, v in zip(said(value), said(value.values()), strict=True)]
        else:
            items = said(value)
            items = sorted(items) if isinstance(value, (set, frozenset)) else items
        return f"{type(value).__name__}({', '.join(items)})"

    def _say_object(self, value: Any, where: str, around: tuple[int, ...]) -> str:
        if isinstance(value, functools.partial):
            given = (value.func, value.args, value.keywords)
            return f"partial{self._say(given, where, around)}"
        if isinstance(value, (type, *_FUNCTIONS)):
            ours = (getattr(value, "__module__", None) or "").split(".")[0] in ("torch", "sfumato")
            if ours and "<" not in _name(value):
                return _name(value)
            return self._unclear(where, _name(value))
        if is_dataclass(value):
            held = {one.name: getattr(value, one.name, None) for one in fields(value)}
            held.update(getattr(value, "__dict__", {}))
        elif type(value).__module__ != "builtins" and hasattr(value, "__dict__"):
            held = dict(vars(value))
        else:
            return self._unclear(where, _name(type(value)))
        self._add_kind(where, type(value))
        return self._say(held, where, around)


def _name(thing: Any) -> str:
    kind = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{kind.__module__}.{kind.__qualname__}"


def _loading(hook: Any) -> bool:
    """Whether a hook is torch's own, of a lazy module that has seen no record yet."""
    return getattr(hook, "__name__", "") == "_infer_parameters"
