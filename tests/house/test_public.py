"""What is public is annotated and explained."""

from __future__ import annotations

import ast
import importlib
import inspect
from types import ModuleType

import pytest

from tests.house.source import PACKAGE, Function, functions, modules, where

PUBLIC = ["sfumato"] + [
    f"sfumato.{init.parent.name}" for init in sorted(PACKAGE.glob("*/__init__.py"))
]


def arguments(function: Function) -> list[ast.arg]:
    spec = function.args
    named = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs]
    stars = [star for star in (spec.vararg, spec.kwarg) if star is not None]
    return [arg for arg in named if arg.arg not in {"self", "cls"}] + stars


def test_everything_is_annotated() -> None:
    bare = [
        f"{where(path, function)}: {function.name}"
        for path in modules()
        for function in functions(path)
        if function.returns is None or any(arg.annotation is None for arg in arguments(function))
    ]
    assert not bare, "\n".join(bare)


def public_names(module: ModuleType) -> list[str]:
    """What the module says is public; else its names of ours without an underscore."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    return [name for name in dir(module) if not name.startswith("_") and ours(module, name)]


def ours(module: ModuleType, name: str) -> bool:
    thing = getattr(module, name)
    home = getattr(thing, "__module__", None) or getattr(thing, "__name__", "")
    return str(home).split(".")[0] == "sfumato"


def methods(thing: type) -> list[str]:
    """Public methods and properties that `thing` itself defines."""
    mine = {name: value for name, value in vars(thing).items() if not name.startswith("_")}
    return [n for n, v in mine.items() if inspect.isroutine(v) or isinstance(v, property)]


def unexplained(module: ModuleType) -> list[str]:
    """Public names without a docstring; a method may inherit that of what it overrides."""
    missing = []
    for name in public_names(module):
        thing = getattr(module, name)
        known = inspect.isclass(thing) or inspect.isroutine(thing) or inspect.ismodule(thing)
        if known and not (thing.__doc__ or "").strip():
            missing.append(f"{module.__name__}.{name}")
        if inspect.isclass(thing):
            missing += [
                f"{module.__name__}.{name}.{method}"
                for method in methods(thing)
                if not inspect.getdoc(getattr(thing, method))
            ]
    return missing


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_explained(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    missing = unexplained(module)
    assert not missing, "\n".join(missing)
