"""What an audit is about, as checksums over content: a changed thing has another one."""

from __future__ import annotations

import functools
import hashlib
import types
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sfumato.data.records import Records


def checksum(value: Any) -> str:
    """SHA-256 over what a value holds: tensors, records, modules, functions and settings.

    Two values with equal content have equal checksums in any process; addresses have no part.
    """
    digest = hashlib.sha256()
    for part in _parts(value, ()):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """The package's own version and torch's: other code makes other figures."""
    try:
        own = version("sfumato")
    except PackageNotFoundError:
        own = "unknown"
    return {"sfumato": own, "torch": str(torch.__version__)}


def _parts(value: Any, above: tuple[int, ...]) -> list[bytes]:
    kind = f"{type(value).__module__}.{type(value).__qualname__}".encode()
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
        return [kind, repr(value).encode()]
    if id(value) in above:  # a loop
        return [kind]
    if isinstance(value, Tensor):
        return [kind, *_tensor(value)]
    if isinstance(value, np.ndarray):
        plain = np.ascontiguousarray(value)
        return [kind, repr((plain.dtype, plain.shape)).encode(), plain.tobytes()]
    return [kind, *_inside(value, (*above, id(value)))]


def _inside(value: Any, above: tuple[int, ...]) -> list[bytes]:
    """Of what holds other values."""
    for kind, held in _HELD.items():
        if isinstance(value, kind):
            return [part for one in held(value) for part in _parts(one, above)]
    settings = {} if isinstance(value, type) else _settings(value)
    named = [getattr(value, "__module__", ""), getattr(value, "__qualname__", "")]
    held = sorted(settings.items()) if settings else named
    return [part for one in held for part in _parts(one, above)]


def _name(pair: tuple[Any, Any]) -> str:
    return repr(pair[0])


def _plain_settings(module: nn.Module) -> list[tuple[str, Any]]:
    """Attributes of a module and of those inside that are neither parameters nor modules."""
    kinds = bool, int, float, str, tuple
    return [
        (f"{name}.{key}", value)
        for name, part in module.named_modules()
        for key, value in sorted(vars(part).items())
        if isinstance(value, kinds) and key != "training"
    ]


def _settings(value: Any) -> dict[str, Any]:
    found = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, name):
                found[name] = getattr(value, name)
    found.pop("progress", None)  # who watches changes nothing
    return {name: held for name, held in found.items() if not name.startswith("__")}


def _tensor(value: Tensor) -> list[bytes]:
    plain = value.detach().cpu().contiguous().flatten()
    head = repr((plain.dtype, tuple(value.shape))).encode()
    return [head, plain.view(torch.uint8).numpy().tobytes()]


def _function(value: types.FunctionType) -> list[Any]:
    cells = [cell.cell_contents for cell in value.__closure__ or ()]
    return [value.__qualname__, value.__code__, value.__defaults__, value.__kwdefaults__, cells]


_HELD: dict[Any, Callable[[Any], Iterable[Any]]] = {
    Records: lambda v: [v.inputs, v.labels, list(v.classes)],
    nn.Module: lambda v: [str(v), sorted(v.state_dict().items()), _plain_settings(v)],
    dict: lambda v: [part for pair in sorted(v.items(), key=_name) for part in pair],
    (set, frozenset): lambda v: sorted(v, key=repr),
    (list, tuple, range): lambda v: v,
    functools.partial: lambda v: [v.func, list(v.args), v.keywords],
    types.MethodType: lambda v: [v.__func__, v.__self__],
    types.FunctionType: _function,
    types.CodeType: lambda v: [v.co_code, list(v.co_consts), list(v.co_names)],
}
"""What counts of a value of each kind."""
