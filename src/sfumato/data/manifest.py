"""What a released folder says of itself: `release.json`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

from sfumato.errors import StoreError
from sfumato.files import read_json, sha256, write_json

SCHEMA = "sfumato.release/1"
MANIFEST = "release.json"


@final
@dataclass(frozen=True)
class Shard:
    """One parquet file of a release: its name, its number of records and its checksum."""

    file: str
    rows: int
    sha256: str

    def check(self, folder: Path) -> None:
        """Raise `StoreError` unless the file is there, with the content it was written with."""
        path = folder / self.file
        if not path.is_file():
            raise StoreError(f"the shard {path} is gone: restore it from where you got the folder")
        if sha256(path) != self.sha256:
            raise StoreError(
                f"the shard {path} is truncated or was changed: restore it from where you got the "
                "folder"
            )


@final
@dataclass(frozen=True)
class Manifest:
    """What a release is: by which obfuscator, of how many records, in which files.

    It holds no seed and nothing of the records themselves.

    Attributes:
        obfuscator: the digest of the obfuscator.
        record_shape: the shape of one released record.
        classes: the class names.
        source: where the noise came from, "torch" or "os".
        releases: how many copies there are of each record.
        count: how many records there are.
        labels_sha256: a checksum of the labels.
        shards: the files, in order.
        versions: of the packages that wrote them.
        schema: the version of this layout.
    """

    obfuscator: str
    record_shape: tuple[int, ...]
    classes: tuple[str, ...]
    source: str
    count: int
    labels_sha256: str
    shards: tuple[Shard, ...]
    versions: Mapping[str, str]
    releases: int = 1
    schema: str = SCHEMA

    def write(self, folder: Path) -> None:
        """Write `release.json`, atomically."""
        content = _plain(asdict(self))
        write_json(folder / MANIFEST, {**content, "sha256": _checksum(content)})


def read_manifest(folder: Path) -> Manifest:
    """Read and check `release.json`; the shards are not looked at.

    Raises:
        StoreError: it is missing, truncated, was changed, or is of another layout.
    """
    path = folder / MANIFEST
    content = read_json(path)
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise StoreError(f"{path} is not the manifest of a release ({SCHEMA})")
    if content.pop("sha256", None) != _checksum(content):
        raise StoreError(f"{path} was changed after it was written: restore it")
    try:
        shards = tuple(Shard(**shard) for shard in content.pop("shards"))
        shape, classes = tuple(content.pop("record_shape")), tuple(content.pop("classes"))
        manifest = Manifest(record_shape=shape, classes=classes, shards=shards, **content)
    except (TypeError, KeyError) as error:
        raise StoreError(f"{path} has other entries than {SCHEMA}: restore it") from error
    if any(Path(shard.file).name != shard.file for shard in shards):
        raise StoreError(f"{path} names files outside of its folder")
    return manifest


def check_shards(folder: Path, shards: Iterable[Shard]) -> None:
    """Raise `StoreError`, naming the file, unless all shards are as they were written."""
    for shard in shards:
        shard.check(folder)


def _plain(content: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(content))


def _checksum(content: Mapping[str, Any]) -> str:
    """Of everything else in the manifest, so that a slip of an editor is noticed."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
