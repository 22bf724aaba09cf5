"""What an unfinished release has written so far, so that it can go on after a kill -9."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, final

from sfumato.data.manifest import Shard, check_shards
from sfumato.errors import StoreError
from sfumato.files import atomic

JOURNAL = ".release-unfinished.jsonl"
"""It identifies the clear records, so it is removed as soon as the release is finished."""


@final
class Journal:
    """A list of whole shards, one line each, under a head line that says what is released.

    A line is on disk before its shard gets its final name. So a shard under a final name without
    a line is not ours, and a line without a shard is one that was never there.
    """

    def __init__(self, folder: Path, head: Mapping[str, Any]) -> None:
        self._path = folder / JOURNAL
        found, lines = _read(self._path)
        listed = {shard.file: shard for shard in (Shard(**line) for line in lines)}
        present = {file.name for file in folder.rglob("*.parquet") if file.name[0] != "."}
        if foreign := sorted(present - set(listed)):
            raise StoreError(
                f"{folder} holds {foreign[0]}, which this release did not write: "
                "choose another folder"
            )
        self.shards = {name: shard for name, shard in listed.items() if name in present}
        if found is not None and self.shards:  # until a shard is whole, nothing is settled
            _compare(folder, found, head)
        check_shards(folder, self.shards.values())
        with atomic(self._path) as part:
            kept = [dict(head), *(asdict(shard) for shard in self.shards.values())]
            part.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")

    def add(self, shard: Shard) -> None:
        """Write down a shard, just before it gets its final name."""
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(shard)) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        self.shards[shard.file] = shard

    def remove(self) -> None:
        """The release is finished."""
        self._path.unlink(missing_ok=True)


def _read(path: Path) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """The head and the lines that are whole."""
    if not path.is_file():
        return None, []
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:  # killed while it was written, so its shard has no final name
            break
    if not lines:
        raise StoreError(f"{path} is damaged: choose another folder for this release")
    return lines[0], lines[1:]


_MEANING = {
    "obfuscator": "by another obfuscator",
    "data": "of other records",
    "source": "with noise from another source",
    "shard_size": "with another shard size",
    "classes": "with other class names",
}


def _compare(folder: Path, found: Mapping[str, Any], head: Mapping[str, Any]) -> None:
    for key, meaning in _MEANING.items():
        if found.get(key) != head[key]:
            raise StoreError(
                f"{folder} holds an unfinished release {meaning}: "
                "choose another folder, or go on as it was begun"
            )
