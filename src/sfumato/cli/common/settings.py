"""What the commands share: data, model, plan, workers."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_model
from torch import nn

from sfumato.data import Records, splits, take
from sfumato.errors import SettingError, StoreError
from sfumato.train import small_cnn

Settings = TypeVar("Settings")


def open_data(source: str, limit: int | None) -> tuple[Records, Records]:
    """Training and test records of a data set, at most `limit` of each, stratified.

    Raises:
        DataError: the data cannot be used.
    """
    train, test = splits(source)
    return take(train, limit), take(test, limit)


def model_factory(name: str | None) -> Callable[..., Any]:
    """The factory `(shape, classes) -> nn.Module` that `module:factory` names.

    Raises:
        SettingError: there is no such module or factory.
    """
    if not name:
        return small_cnn
    factory = named(name, "--model")
    if not callable(factory):
        raise SettingError(f"--model {name}: it must be callable, (shape, classes) -> nn.Module")
    return factory


def named(name: str, option: str) -> Any:
    """What `module:attribute` names, as the value of an option.

    Raises:
        SettingError: there is no such module or attribute.
    """
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise SettingError(f"{option} {name}: write module:name, for example models:make")
    here = str(Path.cwd())
    if here not in sys.path:  # an installed command does not look into the working folder
        sys.path.insert(0, here)
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise SettingError(f"{option} {name}: there is no module {error.name}") from error
    except AttributeError as error:
        raise SettingError(f"{option} {name}: {module} has no {attribute}") from error


def load_weights(model: nn.Module, path: str) -> None:
    """Read what `--weights` names, a safetensors file, into the model.

    Raises:
        StoreError: it cannot be read, or does not fit the model.
    """
    try:
        load_model(model, path)
    except (SafetensorError, RuntimeError, OSError) as error:
        raise StoreError(f"--weights {path} cannot be loaded into the model: {error}") from error


def override(settings: Settings, changes: Mapping[str, Any], path: str = "plan") -> Settings:
    """A copy of a dataclass with some fields replaced, in nested dataclasses too.

    Args:
        settings: A frozen dataclass.
        changes: Values by name.
        path: How messages name the settings.

    Raises:
        SettingError: there is no such field, or its value is of the wrong kind.
    """
    assert is_dataclass(settings) and not isinstance(settings, type)
    known = {field.name: getattr(settings, field.name) for field in fields(settings)}
    for name, value in changes.items():
        if name not in known:
            raise SettingError(f"--{path}.{name} is unknown; there are {', '.join(known)}")
        known[name] = _value(known[name], value, f"{path}.{name}")
    return replace(settings, **{name: known[name] for name in changes})


def _value(current: Any, value: Any, path: str) -> Any:
    if is_dataclass(current):
        if not isinstance(value, Mapping):
            raise SettingError(f"--{path} has fields of its own: give them by name")
        return override(current, value, path)
    if isinstance(value, list):
        value = tuple(value)
    if isinstance(current, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if current is not None and value is not None and not isinstance(value, type(current)):
        raise SettingError(f"--{path} must be like {current!r}, not {value!r}")
    return value


def worker_count(workers: int) -> int:
    """`workers`, or for 0 one per core that this process may use.

    Raises:
        SettingError: it is negative.
    """
    if workers < 0:
        raise SettingError(f"--workers must be 0 or more, not {workers}")
    if workers:
        return workers
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
