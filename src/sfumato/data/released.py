"""Reading a released folder, by someone who never had the records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from sfumato.data.manifest import MANIFEST, Manifest, check_shards, read_manifest
from sfumato.data.parquet import ParquetRows
from sfumato.data.records import Records, check_batch, check_labels
from sfumato.errors import DataError, StoreError

RECORD, LABEL = "record", "label"
"""The columns of a released shard."""

_READ = 4096


@final
class Released(Dataset[tuple[Tensor, int]]):
    """Released records on disk; items are `(record, label)`, read when asked for.

    Attributes:
        manifest: what the release says of itself.
        labels: `[N]`, int64.
        classes: the class names.
        name: what to call the data.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.manifest = manifest
        self.classes = manifest.classes
        self.name = folder.resolve().name
        self._folder = folder
        try:
            self._rows = ParquetRows([folder / shard.file for shard in manifest.shards])
            stored = self._rows.column(LABEL).to_numpy().astype(np.int64)
        except DataError as error:
            raise StoreError(str(error)) from error
        self.labels = torch.from_numpy(stored)
        if len(self.labels) != manifest.count:
            raise StoreError(
                f"{folder} holds {len(self.labels)} records, but its {MANIFEST} says "
                f"{manifest.count}: restore it"
            )
        check_labels(self.labels, len(self.classes), self.name)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one record."""
        return self.manifest.record_shape

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.name} has {len(self)} records, there is no number {index}")
        return self.__getitems__([index % len(self)])[0]

    def __getitems__(self, indices: list[int]) -> list[tuple[Tensor, int]]:
        """Several items at once, as torch's `DataLoader` asks for them."""
        labels = self.labels[indices].tolist()
        return list(zip(self._read(indices).unbind(), labels, strict=True))

    def subset(self, indices: Sequence[int] | Tensor) -> Records:
        """The records at `indices`, in that order, in memory."""
        index = torch.as_tensor(indices, dtype=torch.int64)
        inputs = torch.empty((len(index), *self.shape))
        for start in range(0, len(index), _READ):
            inputs[start : start + _READ] = self._read(index[start : start + _READ].tolist())
        labels = self.labels[index]
        check_batch(inputs, labels, len(self.classes), self.name)
        return Records(inputs, labels, self.classes, self.name)

    def records(self) -> Records:
        """All records, in memory.

        Raises:
            DataError: a record holds NaN or infinity.
        """
        return self.subset(range(len(self)))

    def _read(self, indices: Sequence[int]) -> Tensor:
        column = self._rows.take(RECORD, indices)
        flat = np.concatenate([_flat(chunk) for chunk in column.chunks])
        return torch.from_numpy(flat).reshape(len(indices), *self.shape)


def _flat(array: Any) -> np.ndarray:
    """The numbers of a nested arrow list."""
    while hasattr(array.type, "value_type"):
        array = array.flatten()
    return array.to_numpy(zero_copy_only=False).astype(np.float32, copy=False)


def is_released(folder: str | Path) -> bool:
    """Whether `folder` is a finished release."""
    return (Path(folder) / MANIFEST).is_file()


def open_released(folder: str | Path, *, verify: bool = True) -> Released:
    """Open a released folder.

    Args:
        folder: where `release.json` and its shards lie.
        verify: read every shard once and compare its checksum.

    Raises:
        StoreError: the manifest or a shard is missing, truncated or was changed; the message
            names the file.
        DataError: a label is out of range.
        MissingDependency: `sfumato[data]` is not installed.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    if verify:
        check_shards(folder, manifest.shards)
    return Released(folder, manifest)
