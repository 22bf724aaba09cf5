"""A run goes on only in a folder whose cells were made alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sfumato.errors import SettingError
from sfumato.files import prepare_folder, read_json, write_json


def same_setup(out: Path, shared: dict[str, Any], parts: Mapping[str, Any] | None = None) -> None:
    """Refuse a folder with cells of another setup; a new one remembers this one.

    Args:
        out: the run's folder.
        shared: what all its cells have in common, as JSON values.
        parts: what some cells are made of, by a name of its own: new names may come later, another
            content of a name that is there may not.

    Raises:
        SettingError: the folder holds cells of another setup.
    """
    path = prepare_folder(out) / "setup.json"
    if not path.exists():
        write_json(path, shared)
    elif read_json(path) != shared:
        raise SettingError(f"{out} holds cells of another setup: choose another --out")
    if parts:
        _same_parts(out, json.loads(json.dumps(parts)))


def _same_parts(out: Path, parts: dict[str, Any]) -> None:
    path = out / "parts.json"
    known = read_json(path) if path.exists() else {}
    other = [name for name, part in parts.items() if known.get(name, part) != part]
    if other:
        raise SettingError(
            f"{out} holds cells of another {', '.join(other)}: give what has changed another name, "
            "or choose another --out"
        )
    if parts.keys() - known.keys():
        write_json(path, known | parts)
