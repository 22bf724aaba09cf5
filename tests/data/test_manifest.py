from __future__ import annotations

import json
from pathlib import Path

import pytest

from sfumato.data import Manifest, Shard
from sfumato.data.manifest import read_manifest
from sfumato.errors import StoreError
from sfumato.files import sha256


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    (tmp_path / "a.parquet").write_bytes(b"rows")
    shard = Shard("a.parquet", 3, sha256(tmp_path / "a.parquet"))
    return Manifest(
        obfuscator="d" * 64,
        record_shape=(1, 2, 2),
        classes=("a", "b"),
        source="os",
        count=3,
        labels_sha256="e" * 64,
        shards=(shard,),
        versions={"torch": "2"},
    )


def test_a_manifest_is_read_as_it_was_written(manifest: Manifest, tmp_path: Path) -> None:
    manifest.write(tmp_path)
    assert read_manifest(tmp_path) == manifest
    manifest.shards[0].check(tmp_path)


def test_a_shard_tells_truncated_from_gone(manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"row")
    with pytest.raises(StoreError, match=r"a\.parquet is truncated or was changed"):
        manifest.shards[0].check(tmp_path)
    (tmp_path / "a.parquet").unlink()
    with pytest.raises(StoreError, match=r"a\.parquet is gone"):
        manifest.shards[0].check(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"count": 3', '"count": 4', "was changed after it was written"),
        ("sfumato.release/1", "sfumato.release/9", "is not the manifest of a release"),
        ("}", "", "truncated or damaged"),
        ('"torch": "2"', '"torch": NaN', "was changed"),
    ],
)
def test_a_changed_manifest_is_told(
    manifest: Manifest, tmp_path: Path, old: str, new: str, message: str
) -> None:
    manifest.write(tmp_path)
    file = tmp_path / "release.json"
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(StoreError, match=message):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("shards", [{"file": "../a.parquet", "rows": 3, "sha256": "0"}], "outside of its folder"),
        ("shards", [{"file": "a.parquet"}], "other entries"),
        ("extra", 1, "other entries"),
    ],
)
def test_a_forged_manifest_is_refused(
    manifest: Manifest, tmp_path: Path, entry: str, value: object, message: str
) -> None:
    from sfumato.data.manifest import _checksum

    manifest.write(tmp_path)
    content = json.loads((tmp_path / "release.json").read_text())
    del content["sha256"]
    content[entry] = value
    content["sha256"] = _checksum(content)
    (tmp_path / "release.json").write_text(json.dumps(content))
    with pytest.raises(StoreError, match=message):
        read_manifest(tmp_path)


def test_no_manifest_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not there"):
        read_manifest(tmp_path)
