from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from torch import Tensor

from sfumato.data import Records, load, open_released, splits
from sfumato.data.journal import JOURNAL, Journal
from sfumato.errors import DataError, OutputError, SettingError, StoreError
from sfumato.files import sha256
from sfumato.obfuscation.release import release_dataset
from tests.disk import nearly_full
from tests.obfuscation.stand_in import Labelled, Numbers, StandIn, Stream

NAMES = [f"train-{number:05d}-of-00004.parquet" for number in range(4)]


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def whole_shards(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.glob("train-*.parquet"))}


def test_every_record_is_released_once_and_can_be_trained_on(tmp_path: Path) -> None:
    obfuscator = StandIn()
    steps: list[tuple[int, int]] = []
    manifest = release_dataset(
        obfuscator,
        Labelled(1000),
        tmp_path / "out",
        source="os",
        shard_size=300,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert names(tmp_path / "out") == ["release.json", *NAMES]
    assert obfuscator.released == list(range(1000))
    assert obfuscator.sources == {"os"}
    assert steps[-1] == (1000, 1000)
    assert [shard.rows for shard in manifest.shards] == [300, 300, 300, 100]
    assert (manifest.count, manifest.record_shape) == (1000, (1, 4, 4))
    assert (manifest.classes, manifest.source) == (("red", "green", "blue"), "os")
    assert manifest.obfuscator == obfuscator.digest()
    released = open_released(tmp_path / "out")
    assert released.manifest == manifest
    records = released.records()
    assert torch.equal(records.labels, torch.arange(1000) % 3)
    noise = records.inputs[:, 0] - torch.arange(1000.0)[:, None, None]
    assert abs(float(noise.std()) - 1) < 0.05
    again = load(tmp_path / "out")
    assert isinstance(again, Records)
    assert torch.equal(again.inputs, records.inputs)
    assert [len(part) for part in splits(tmp_path / "out")] == [800, 200]


def test_datasets_gives_the_released_records_back(tmp_path: Path) -> None:
    out = tmp_path / "test"  # the name of a split, to make it harder
    release_dataset(StandIn(), Labelled(20), out, shard_size=8)
    (out / "results.json").write_text("{}")
    datasets.disable_progress_bars()
    table: Any = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert list(table) == ["train"]
    assert table["train"].features["label"].names == ["red", "green", "blue"]
    rows = table["train"].with_format("torch")[:]
    want = open_released(out).records()
    assert torch.equal(torch.stack(list(rows["record"])), want.inputs)
    assert torch.equal(rows["label"], want.labels)


def test_a_released_folder_is_a_lazy_torch_data_set(tmp_path: Path) -> None:
    release_dataset(StandIn(), Labelled(20), tmp_path, shard_size=8)
    released = open_released(tmp_path)
    whole = released.records().inputs
    assert len(released) == 20
    assert released.shape == (1, 4, 4)
    one, label = released[9]
    assert torch.equal(one, whole[9])
    assert (label, type(label)) == (0, int)
    assert torch.equal(released[-1][0], whole[19])
    order = [19, 0, 8, 8]
    items = released.__getitems__(order)
    assert torch.equal(torch.stack([item for item, _ in items]), whole[order])
    assert torch.equal(released.subset(order).inputs, whole[order])
    with pytest.raises(IndexError):
        released[20]


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (1, 2, 3, 4)])
def test_records_of_any_shape_are_released(tmp_path: Path, shape: tuple[int, ...]) -> None:
    class Reshaping(StandIn):
        def release(self, x: Tensor, labels: Tensor, *, source: str = "torch") -> Tensor:
            return torch.randn(len(x), *shape)

    manifest = release_dataset(Reshaping(), Numbers(5), tmp_path, shard_size=3)
    assert manifest.record_shape == shape
    released = open_released(tmp_path)
    assert [tuple(one.shape) for one, _ in released.__getitems__([4, 0])] == [shape, shape]


def test_a_data_set_is_read_a_batch_at_a_time(tmp_path: Path) -> None:
    obfuscator, data = StandIn(), Labelled(1000)
    release_dataset(obfuscator, data, tmp_path, shard_size=700)
    assert obfuscator.largest <= 256
    assert sorted(data.reads) == sorted([0, 999, *range(1000)])  # once; the ends to know it again


def test_map_style_and_iterable_data_sets_without_labels_are_read_twice(tmp_path: Path) -> None:
    data = Numbers(10)
    assert release_dataset(StandIn(), data, tmp_path / "map").classes == ("0", "1", "2")
    assert sorted(data.reads) == sorted([*range(10), *range(10)])
    obfuscator = StandIn()
    manifest = release_dataset(
        obfuscator, Stream(10), tmp_path / "stream", shard_size=4, classes=["x", "y", "z"]
    )
    assert [shard.rows for shard in manifest.shards] == [4, 4, 2]
    assert manifest.classes == ("x", "y", "z")
    assert obfuscator.released == list(range(10))


def test_a_finished_release_is_not_drawn_again(tmp_path: Path) -> None:
    first = release_dataset(StandIn(), Labelled(10), tmp_path)
    before = whole_shards(tmp_path)
    again = StandIn()
    assert release_dataset(again, Labelled(10), tmp_path) == first
    assert again.released == []
    assert whole_shards(tmp_path) == before


@contextmanager
def stalled(out: Path, mark: Path, after: int) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that releases to `out` and stands still after so many records."""
    script = [sys.executable, "-W", "error", "-m", "tests.obfuscation.stand_in"]
    process = subprocess.Popen([*script, str(out), str(mark), str(after)])
    try:
        while not mark.exists():
            assert process.poll() is None
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()


def test_kill_9_keeps_whole_shards_and_a_second_process_is_kept_out(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with stalled(out, tmp_path / "mark", after=750) as process:
        with pytest.raises(StoreError, match="another process is releasing"):
            release_dataset(StandIn(), Labelled(1000), out, shard_size=300)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    before = whole_shards(out)
    assert list(before) == NAMES[:2]
    assert any(name.endswith(".part") for name in names(out))
    with pytest.raises(StoreError, match=r"release\.json is not there"):
        open_released(out)
    obfuscator, stream = StandIn(), StandIn()
    with pytest.raises(StoreError, match="of other records"):
        release_dataset(stream, Stream(1001), out, shard_size=300, classes=Labelled.classes)
    manifest = release_dataset(obfuscator, Labelled(1000), out, shard_size=300)
    assert obfuscator.released == list(range(600, 1000))
    assert names(out) == ["release.json", *NAMES]
    assert {name: whole_shards(out)[name] for name in NAMES[:2]} == before
    assert [shard.sha256 for shard in manifest.shards] == [sha256(out / name) for name in NAMES]
    assert len(open_released(out).records()) == 1000


@pytest.fixture
def unfinished(tmp_path: Path) -> Path:
    """A release that was cut short after two of four shards."""

    def cut(done: int, _: int) -> None:
        if done > 600:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        release_dataset(StandIn(), Labelled(1000), tmp_path, shard_size=300, progress=cut)
    assert list(whole_shards(tmp_path)) == NAMES[:2]
    assert not [name for name in names(tmp_path) if name.endswith(".part")]
    return tmp_path


def test_an_iterable_data_set_resumes_where_it_was(unfinished: Path) -> None:
    obfuscator = StandIn()
    release_dataset(obfuscator, Stream(1000), unfinished, shard_size=300, classes=Labelled.classes)
    assert obfuscator.released == list(range(600, 1000))


def test_a_journal_line_that_was_cut_short_is_dropped(unfinished: Path) -> None:
    with (unfinished / JOURNAL).open("a") as stream:
        stream.write('{"file": "train-00002-of-00')
    release_dataset(StandIn(), Labelled(1000), unfinished, shard_size=300)
    assert names(unfinished) == ["release.json", *NAMES]


def test_a_shard_that_never_got_its_name_is_drawn_anew(unfinished: Path) -> None:
    (unfinished / NAMES[0]).unlink()
    obfuscator = StandIn()
    release_dataset(obfuscator, Labelled(1000), unfinished, shard_size=300)
    assert obfuscator.released == [*range(300), *range(600, 1000)]
    open_released(unfinished)


def test_the_manifest_tells_nothing_of_the_records(tmp_path: Path) -> None:
    secret = release_dataset(StandIn(), Labelled(10), tmp_path / "a")
    other = Records(torch.rand(10, 1, 4, 4), Labelled(10).labels, Labelled.classes)
    same = release_dataset(StandIn(), other, tmp_path / "b")
    mine, theirs = (json.loads((tmp_path / x / "release.json").read_text()) for x in "ab")
    assert secret.labels_sha256 == same.labels_sha256
    differing = {key for key in mine if mine[key] != theirs[key]}
    assert differing == {"shards", "sha256"}


class Louder(StandIn):
    """Compresses well at first, and badly from record 600 on."""

    def release(self, x: Tensor, labels: Tensor, *, source: str = "torch") -> Tensor:
        return super().release(x, labels, source=source) * (x >= 600)


def test_a_full_disk_keeps_whole_shards(tmp_path: Path) -> None:
    with nearly_full(8000), pytest.raises(OutputError, match=r"disk full while writing .*00002-of"):
        release_dataset(Louder(), Labelled(1000), tmp_path, shard_size=300)
    before = whole_shards(tmp_path)
    assert names(tmp_path) == [".release-unfinished.jsonl", ".release.lock", *NAMES[:2]]
    obfuscator = Louder()
    release_dataset(obfuscator, Labelled(1000), tmp_path, shard_size=300)
    assert obfuscator.released == list(range(600, 1000))
    assert {name: whole_shards(tmp_path)[name] for name in NAMES[:2]} == before


def test_a_disk_that_is_full_for_the_journal_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Journal, "add", full)
    with pytest.raises(OutputError, match="disk full"):
        release_dataset(StandIn(), Labelled(10), tmp_path)
    assert whole_shards(tmp_path) == {}


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        release_dataset(StandIn(), Labelled(10), tmp_path / "file" / "out")


def test_a_changed_shard_is_found(tmp_path: Path) -> None:
    release_dataset(StandIn(), Labelled(1000), tmp_path, shard_size=300)
    shard = tmp_path / NAMES[2]
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(bytes(content))
    for read in (open_released, load, splits):
        with pytest.raises(
            StoreError, match=r"00002-of-00004\.parquet is truncated or was changed"
        ):
            read(tmp_path)
    with pytest.raises(StoreError, match="00002-of-00004"):
        release_dataset(StandIn(), Labelled(1000), tmp_path, shard_size=300)


def test_a_changed_shard_of_an_unfinished_release_is_found(unfinished: Path) -> None:
    with (unfinished / NAMES[1]).open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(StoreError, match=r"00001-of-00004\.parquet is truncated or was changed"):
        release_dataset(StandIn(), Labelled(1000), unfinished, shard_size=300)


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"obfuscator": StandIn(2.0)}, "by another obfuscator"),
        ({"data": Labelled(999)}, "of other records"),
        ({"source": "os"}, "with noise from another source"),
        ({"classes": ("a", "b", "c")}, "with other class names"),
    ],
)
def test_something_else_in_the_folder_is_refused(
    unfinished: Path, change: dict[str, Any], message: str, finished: bool
) -> None:
    asked: dict[str, Any] = {"obfuscator": StandIn(), "data": Labelled(1000), "shard_size": 300}
    if finished:
        release_dataset(**asked, out=unfinished)
    before = names(unfinished), whole_shards(unfinished)
    with pytest.raises(StoreError, match=message):
        release_dataset(**{**asked, **change}, out=unfinished)
    assert set(before[0]) <= {*names(unfinished), ".release.lock"}
    assert whole_shards(unfinished) == before[1]


def test_an_unfinished_release_keeps_its_shard_size(unfinished: Path) -> None:
    with pytest.raises(StoreError, match="with another shard size"):
        release_dataset(StandIn(), Labelled(1000), unfinished, shard_size=100)


def test_parquet_files_of_others_are_never_written_over(tmp_path: Path) -> None:
    mine = tmp_path / "train-00000-of-00001.parquet"
    mine.write_bytes(b"my only copy")
    with pytest.raises(StoreError, match="which this release did not write"):
        release_dataset(StandIn(), Labelled(10), tmp_path)
    assert mine.read_bytes() == b"my only copy"


@pytest.mark.parametrize(
    "setting", [{"source": "dice"}, {"shard_size": 0}, {"shard_size": -4}], ids=str
)
def test_settings_are_checked(tmp_path: Path, setting: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match=f"{next(iter(setting))} must be"):
        release_dataset(StandIn(), Labelled(10), tmp_path / "out", **setting)
    assert not (tmp_path / "out").exists()


def test_a_data_set_that_changes_between_reads_is_told(tmp_path: Path) -> None:
    class Shuffled(Labelled):
        @property
        def labels(self) -> Tensor:
            return (torch.arange(self.count) + 1) % 3

    with pytest.raises(DataError, match="must give the same records each time"):
        release_dataset(StandIn(), Shuffled(10), tmp_path)
    assert whole_shards(tmp_path) == {}


@pytest.mark.parametrize("bad", ["short", "nan"])
def test_a_release_that_is_not_usable_is_told(tmp_path: Path, bad: str) -> None:
    class Broken(StandIn):
        def release(self, x: Tensor, labels: Tensor, *, source: str = "torch") -> Tensor:
            return x[:-1] if bad == "short" else x * float("nan")

    with pytest.raises(DataError, match="fit the obfuscator again"):
        release_dataset(Broken(), Labelled(10), tmp_path)
