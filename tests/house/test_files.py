"""What may not stand in any file of the project, and what the papers must agree on."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.house.source import ROOT, text, tracked, tree, where

# Put together here, so that this file holds none of them.
HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("download", "pytorch", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("anaconda", "org"),
        ("ghcr", "io"),
        ("docker", "io"),
        ("quay", "io"),
        ("gcr", "io"),
    )
]
HOST = re.compile("|".join(map(re.escape, HOSTS)))
FOLDERS = ["home", "root", "Users", "work", "opt", "mnt", "tmp", "srv", "media", "scratch"]
MACHINE_PATH = re.compile(rf"(?<![\w.~$}})-])/(?:{'|'.join(FOLDERS)})/\w|\b[A-Z]:\\\w")
FENCE = re.compile(r"^\s*```+ *([^\s`]*)", re.MULTILINE)


def matches(pattern: re.Pattern[str]) -> Iterator[str]:
    for path in tracked():
        for number, line in enumerate((text(path) or "").splitlines(), start=1):
            if found := pattern.search(line):
                yield f"{where(path)}:{number}: {found.group()}"


def test_no_registry_host() -> None:
    assert list(matches(HOST)) == []


def test_no_machine_path() -> None:
    assert list(matches(MACHINE_PATH)) == []


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ("/".join(["", "home", "me", "data"]), True),
        ("file://" + "/".join(["", "opt", "wheels"]), True),
        ("../work/data", False),
        ("a/tmp/b", False),
        ("#!/usr/bin/env bash", False),
    ],
)
def test_what_a_machine_path_is(line: str, is_one: bool) -> None:
    assert bool(MACHINE_PATH.search(line)) is is_one


def imports(path: Path) -> set[str]:
    nodes = list(ast.walk(tree(path)))
    plain = {a.name for node in nodes if isinstance(node, ast.Import) for a in node.names}
    return plain | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}


def test_torchvision_is_never_imported() -> None:
    files = [path for path in tracked() if path.suffix == ".py"]
    guilty = [p for p in files if any(n.split(".")[0] == "torchvision" for n in imports(p))]
    assert guilty == []


def requirements() -> set[str]:
    """Names of every dependency in pyproject.toml, extras and the dev group included."""
    lists = re.findall(r"^\w+ = \[(.*?)\]$", settings("pyproject.toml"), re.M | re.S)
    names = re.findall(r'"([A-Za-z][\w.-]*)(?:\[[\w,]+\])?[<>=]=?[^"]*"', "\n".join(lists))
    return set(names)


def settings(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_every_dependency_is_explained() -> None:
    page = settings("docs/dependencies.md")
    assert {"torch", "datasets", "pytest", "jsonargparse"} <= requirements()
    assert [name for name in sorted(requirements()) if f"`{name}`" not in page] == []
    assert "torchvision" not in requirements()


def test_one_version() -> None:
    number = version("sfumato")
    assert f'version = "{number}"' in settings("pyproject.toml")
    assert f"\nversion: {number}\n" in settings("CITATION.cff")
    assert f"## {number}" in settings("CHANGELOG.md")


def test_python_in_pages_is_marked_so_that_it_runs() -> None:
    pages = [path for path in tracked() if path.suffix == ".md"]
    odd = [
        f"{where(path)}: ```{language}"
        for path in pages
        for language in FENCE.findall(text(path) or "")
        if language.lower() in {"py", "python3", "pycon", "{python}"} or language == "Python"
    ]
    assert odd == []
