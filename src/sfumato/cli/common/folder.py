"""The folder of a run: its settings on the way in, results and report on the way out."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, final

import yaml

from sfumato.errors import SettingError
from sfumato.files import atomic, prepare_folder, write_json

CONFIG = "config.yaml"

# What changes how a run is computed or judged, not what comes out.
_BOUNDS = {"max_leak", "max_leak_95", "max_linkage", "max_epsilon"}
_FREE = {"workers", "sign", "sign_partial", *_BOUNDS}


@final
class RunFolder:
    """A folder that holds one run of one command, and nothing of another.

    Args:
        command: The command's name.
        options: Its settings; `out` says where, and is not one of them.
        free: Names of settings that may differ from those of an earlier call.

    Raises:
        SettingError: The folder holds a run with other settings.
        OutputError: It cannot be made or written.
    """

    def __init__(self, command: str, options: Any, free: Sequence[str] = ()) -> None:
        self.command = command
        self.settings = _plain({k: v for k, v in asdict(options).items() if k != "out"})
        self.path = Path(options.out) if options.out else _fresh(command)
        existing = self.path / CONFIG
        if existing.is_file():
            _check_same(existing, command, self.settings, {*_FREE, *free})
        self._is_new = not self.path.exists()
        prepare_folder(self.path)
        with atomic(existing) as part:
            part.write_text(self._yaml(), encoding="utf-8")

    def finish(self, results: Mapping[str, Any]) -> Path:
        """Write `results.json` and `report.html`, and return the path of the report.

        Settings and provenance are added to what `results` says about them.

        Raises:
            StoreError: `results` does not fit the schema.
            OutputError: a file cannot be written.
        """
        from sfumato.report import SCHEMA, validate, write_report
        from sfumato.train import provenance

        content = {"schema": SCHEMA, "command": self.command, "provenance": provenance(), **results}
        content["config"] = {**self.settings, **results.get("config", {})}
        content = _plain(content)
        validate(content)
        write_json(self.path / "results.json", content)
        return write_report(self.path)

    def discard(self) -> None:
        """Take the folder away again if it is new and nothing has come of the run."""
        files = [path for path in self.path.rglob("*") if not path.is_dir()]
        if self._is_new and files == [self.path / CONFIG]:
            shutil.rmtree(self.path)

    def _yaml(self) -> str:
        head = f"# sfumato {self.command} --config {CONFIG}\n"
        return head + yaml.safe_dump(self.settings, sort_keys=False, allow_unicode=True)


def _fresh(command: str) -> Path:
    """A folder under `runs` that is not there yet."""
    base = Path("runs") / f"{command.split(maxsplit=1)[0]}-{datetime.now():%Y%m%d-%H%M%S}"
    path, number = base, 2
    while path.exists():
        path, number = base.with_name(f"{base.name}-{number}"), number + 1
    return path


def _check_same(
    path: Path, command: str, settings: Mapping[str, Any], free: Collection[str]
) -> None:
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        found = None
    if not text.startswith(f"# sfumato {command} ") or not isinstance(found, dict):
        raise SettingError(
            f"{path.parent} holds something other than a run of sfumato {command}: choose another "
            "folder with --out"
        )
    keys = [key for key in {**settings, **found} if key not in free]
    other = [key for key in keys if settings.get(key) != found.get(key)]
    if other:
        changed = ", ".join(f"{k} {found.get(k)!r} -> {settings.get(k)!r}" for k in other)
        raise SettingError(
            f"{path.parent} holds a run with other settings ({changed}): choose another folder "
            f"with --out, or go on with --config {path} --out {path.parent}"
        )


def _plain(value: Any) -> Any:
    """Tuples as lists, as they come back from YAML and JSON."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (tuple, list)) else value
