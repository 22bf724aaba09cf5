"""Imports run one way, and `import sfumato` needs torch, numpy and safetensors alone."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.source import PACKAGE, modules, tree, where

# From the ground up: a file may import its own layer and those above it in this list.
LAYERS = (
    ("errors", "files"),
    ("noise",),
    ("nn",),
    ("placement",),
    ("objectives",),
    ("testing",),
    ("data",),
    ("train",),
    ("privacy",),
    ("obfuscation",),
    ("compression",),
    ("robustness",),
    ("label_noise",),
    ("pixels",),
    ("report",),
    ("bench",),
    ("sfumato",),  # the public list itself
    ("cli",),
    ("__main__",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}

OPTIONAL = {
    "art",
    "PIL",
    "cleanlab",
    "datasets",
    "eagerpy",
    "foolbox",
    "jinja2",
    "joblib",
    "jsonargparse",
    "jsonschema",
    "matplotlib",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "pandas",
    "pyarrow",
    "rich",
    "scipy",
    "sklearn",
    "torch_pruning",
    "torchmetrics",
    "torchvision",
    "yaml",
}

ALONE = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {optional!r}:
            raise ImportError(name + " is not there")

sys.meta_path.insert(0, Absent())
import numpy, torch, safetensors.torch
before = {{name.partition(".")[0] for name in sys.modules}}
import sfumato
for name in getattr(sfumato, "__all__", dir(sfumato)):
    getattr(sfumato, name)
after = {{name.partition(".")[0] for name in sys.modules}}
print(*sorted(after - before - sys.stdlib_module_names))
"""


def layer(module: str) -> str:
    """The layer of a dotted name inside the package; 'sfumato' for the public list."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and (known(parts[1]) or parts[1] in RANK) else "sfumato"


def known(name: str) -> bool:
    return (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()


def imported(path: Path) -> Iterator[tuple[ast.stmt, str]]:
    """Every import of the package by itself, also those inside functions."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from ((node, name) for name in names if name.split(".")[0] == "sfumato")


def layer_of(path: Path) -> str:
    top = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "sfumato" if top == "__init__" else top


def breaches(path: Path) -> list[str]:
    mine = layer_of(path)
    return [
        f"{where(path, node)}: {mine} imports {name}"
        for node, name in imported(path)
        if RANK[layer(name)] > RANK[mine] or (layer(name) == "sfumato" and mine != "cli")
    ]


def test_every_module_has_a_layer() -> None:
    unknown = {layer_of(path) for path in modules()} - RANK.keys()
    assert not unknown, f"say in LAYERS where these stand: {unknown}"


def test_imports_run_one_way() -> None:
    wrong = [breach for path in modules() if layer_of(path) in RANK for breach in breaches(path)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("sfumato", "sfumato"),
        ("sfumato.nn.base", "nn"),
        ("sfumato.errors.DataError", "errors"),
        ("sfumato.Obfuscator", "sfumato"),
    ],
)
def test_layer_of_a_name(module: str, expected: str) -> None:
    assert layer(module) == expected


def test_import_needs_torch_numpy_safetensors_alone() -> None:
    script = ALONE.format(optional=OPTIONAL)
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["sfumato"]
