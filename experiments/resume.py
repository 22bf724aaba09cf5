"""A run goes on only in a folder whose cells were made alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sfumato.errors import SettingError
from sfumato.files import prepare_folder, read_json, write_json


def same_setup(out: Path, shared: dict[str, Any]) -> None:
    """Refuse a folder with cells of another setup; a new one remembers this one.

    Args:
        out: the run's folder.
        shared: what all its cells have in common, as JSON values.

    Raises:
        SettingError: the folder holds cells of another setup.
    """
    path = prepare_folder(out) / "setup.json"
    if not path.exists():
        write_json(path, shared)
    elif read_json(path) != shared:
        raise SettingError(f"{out} holds cells of another setup: choose another --out")
