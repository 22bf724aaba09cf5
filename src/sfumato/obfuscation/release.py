"""Releasing a data set larger than memory: one draw per record, streamed to parquet shards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol, final, get_args

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from sfumato.data.batches import Survey, batches, class_names, describe, survey, title
from sfumato.data.journal import JOURNAL, Journal
from sfumato.data.manifest import MANIFEST, Manifest, Shard, check_shards, read_manifest
from sfumato.data.parquet import ParquetRows
from sfumato.data.records import check_batch, check_labels
from sfumato.data.shards import ShardWriter, record_shape
from sfumato.errors import DataError, SettingError, StoreError
from sfumato.files import atomic, output_error, prepare_folder, sha256
from sfumato.noise.source import SourceName
from sfumato.obfuscation.secure import source_for

_LOCK = ".release.lock"
_VERSIONED = ("sfumato", "torch", "pyarrow")


class Releaser(Protocol):
    """The part of an obfuscator that is used here."""

    def release(self, x: Tensor, labels: Tensor, *, source: SourceName = "torch") -> Tensor:
        """One obfuscated copy of each record `[B, ...]`, under its label `[B]`."""
        ...

    def digest(self) -> str:
        """A checksum of its settings and weights."""
        ...


def release_dataset(
    obfuscator: Releaser,
    data: Dataset[Any],
    out: str | Path,
    *,
    source: SourceName | None = None,
    shard_size: int = 4096,
    classes: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Manifest:
    """Release every record of `data` once, to a folder in hub layout.

    `out` gets `train-00000-of-000NN.parquet` with the columns `record` and `label`, which
    `datasets.load_dataset(out)` reads as they are, and at the end `release.json`. Only one batch
    of records is in memory at a time.

    Run again after it was cut short, it goes on: shards that are whole stay as they are, and
    their records are not drawn again. Run again after it was finished, it checks the shards and
    draws nothing.

    Args:
        obfuscator: a `sfumato.Obfuscator`.
        data: map-style or iterable; items are a tensor and a label. One without a tensor `labels`
            is read twice, first for its labels. It must give the same records each time.
        out: the folder; it is made if it is not there.
        source: where the noise comes from: torch's generator (the default), or the operating
            system's cryptographic one (that of a secure obfuscator).
        shard_size: how many records a file holds.
        classes: class names; by default those of the data set, or else "0", "1", ...
        progress: called with the number of records released so far and the number in all.

    Returns:
        The manifest, which is `release.json`.

    Raises:
        DataError: no records, mixed sizes, NaN or infinity, labels out of range.
        SettingError: a setting outside of what it may be.
        StoreError: `out` holds something else: a release by another obfuscator or of other
            records, a changed shard, foreign parquet files; or another process writes to it now.
        OutputError: `out` cannot be written, or the disk is full; whole shards are kept.
        MissingDependency: `sfumato[data]` is not installed.
    """
    source = source_for(getattr(obfuscator, "secure", False), source)
    if source not in get_args(SourceName):
        names = ", ".join(get_args(SourceName))
        raise SettingError(f"source must be one of {names}, not {source!r}")
    if shard_size < 1:
        raise SettingError(f"shard_size must be at least 1, not {shard_size}")
    job = _prepare(obfuscator, data, source, shard_size, classes)
    folder = prepare_folder(out)
    with _locked(folder):
        if (folder / MANIFEST).exists():
            return _finished(folder, job)
        return _go_on(folder, job, progress)


@final
@dataclass(frozen=True)
class _Job:
    """Everything that is asked for, except the folder."""

    obfuscator: Releaser
    data: Dataset[Any]
    name: str
    survey: Survey
    classes: tuple[str, ...]
    source: SourceName
    shard_size: int

    def head(self) -> dict[str, Any]:
        """What an unfinished release must agree on to be gone on with."""
        return {
            "obfuscator": self.obfuscator.digest(),
            "data": self.survey.fingerprint(),
            "source": self.source,
            "shard_size": self.shard_size,
            "classes": list(self.classes),
        }

    def shards(self) -> dict[str, range]:
        """The files, each with the numbers of its records."""
        count, size = self.survey.count, self.shard_size
        starts = range(0, count, size)
        return {
            f"train-{number:05d}-of-{len(starts):05d}.parquet": range(
                start, min(start + size, count)
            )
            for number, start in enumerate(starts)
        }


def _prepare(
    obfuscator: Releaser,
    data: Dataset[Any],
    source: SourceName,
    shard_size: int,
    classes: Sequence[str] | None,
) -> _Job:
    name = title(data)
    found = survey(data)
    if found.count == 0:
        raise DataError(f"{name} holds no records: there is nothing to release")
    known = tuple(classes) if classes is not None else class_names(data)
    names = known or tuple(str(label) for label in range(int(found.labels.max()) + 1))
    check_labels(found.labels, len(names), name)
    return _Job(obfuscator, data, name, found, names, source, shard_size)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process at a time write to the folder; the lock ends with the process."""
    from filelock import FileLock, Timeout  # torch needs it too

    lock = FileLock(folder / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise StoreError(
            f"another process is releasing to {folder}: wait for it, or choose another folder"
        ) from error
    except OSError as error:
        raise output_error(error, folder / _LOCK) from error
    try:
        yield
        (folder / _LOCK).unlink(missing_ok=True)  # whoever comes now finds the release finished
    finally:
        lock.release()


def _finished(folder: Path, job: _Job) -> Manifest:
    """The manifest of a release that is there already, if it is the one asked for."""
    manifest = read_manifest(folder)
    asked = {
        "by another obfuscator": (manifest.obfuscator, job.obfuscator.digest()),
        "of other records": (manifest.labels_sha256, job.survey.labels_sha256()),
        "with other class names": (manifest.classes, job.classes),
        "with noise from another source": (manifest.source, job.source),
    }
    for meaning, (found, wanted) in asked.items():
        if found != wanted:
            raise StoreError(f"{folder} holds a release {meaning}: choose another folder")
    check_shards(folder, manifest.shards)
    _sweep(folder)
    (folder / JOURNAL).unlink(missing_ok=True)  # killed between the manifest and this
    return manifest


def _go_on(folder: Path, job: _Job, progress: Callable[[int, int], None] | None) -> Manifest:
    """Write the shards that are missing, then the manifest."""
    _sweep(folder)
    journal = Journal(folder, job.head())
    planned = job.shards()
    missing = {name: span for name, span in planned.items() if name not in journal.shards}
    stream = batches(job.data, missing.values(), where=job.name)
    done = job.survey.count - sum(len(span) for span in missing.values())
    for name, span in missing.items():
        with atomic(folder / name) as part:
            with ShardWriter(part, job.classes) as writer:
                for start, inputs, labels in _counted(stream, span):
                    writer.write(_released(job, inputs, labels, start), labels)
                    done += len(labels)
                    if progress is not None:
                        progress(done, job.survey.count)
            journal.add(Shard(name, len(span), sha256(part)))
    shards = tuple(journal.shards[name] for name in planned)
    manifest = Manifest(
        obfuscator=job.obfuscator.digest(),
        record_shape=record_shape(ParquetRows([folder / shards[0].file]).schema()),
        classes=job.classes,
        source=job.source,
        count=job.survey.count,
        labels_sha256=job.survey.labels_sha256(),
        shards=shards,
        versions={package: _version(package) for package in _VERSIONED},
    )
    manifest.write(folder)
    journal.remove()
    return manifest


def _counted(
    stream: Iterator[tuple[Tensor, Tensor]], span: range
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """The batches of one span, each with the number of its first record."""
    start = span.start
    while start < span.stop:
        inputs, labels = next(stream)
        yield start, inputs, labels
        start += len(labels)


def _released(job: _Job, inputs: Tensor, labels: Tensor, start: int) -> Tensor:
    """One release of each record of a batch, `[B, ...]`, float32."""
    check_batch(inputs, labels, len(job.classes), job.name, start)
    if inputs.shape[1:] != job.survey.ends[0].shape[1:] or not torch.equal(
        labels, job.survey.labels[start : start + len(labels)]
    ):
        raise DataError(
            f"the records of {job.name} from {start} on differ in label or size from what was read "
            "before: a data set must give the same records each time"
        )
    device = _device(job.obfuscator)
    with torch.no_grad():
        released = job.obfuscator.release(inputs.to(device), labels.to(device), source=job.source)
    released = released.detach().to("cpu", torch.float32)
    if released.shape[:1] != labels.shape or not bool(torch.isfinite(released).all()):
        raise DataError(
            f"the obfuscator's release of the records from {start} on is not usable "
            f"({describe(released)}, or NaN or infinite): fit the obfuscator again"
        )
    return released


def _device(obfuscator: Any) -> torch.device:
    if isinstance(obfuscator, nn.Module):
        for tensor in (*obfuscator.parameters(), *obfuscator.buffers()):
            return tensor.device
    return torch.device("cpu")


def _sweep(folder: Path) -> None:
    """Remove what a killed process left under temporary names."""
    for left in (*folder.glob(".train-*.part"), *folder.glob(".release*.part")):
        left.unlink(missing_ok=True)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
