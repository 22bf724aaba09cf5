"""Labelled pictures from a folder in hub layout, or from the hub."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor
from torch.utils.data import Dataset

from sfumato.data.columns import find_columns, read_labels
from sfumato.data.sources import Rows, Source, open_source
from sfumato.errors import DataError

_LOOKED_AT = 32
"""How many headers tell whether the pictures are grey or in colour."""


@final
class HubPictures(Dataset[tuple[Tensor, int]]):
    """Pictures that are decoded when asked for; labels are at hand at once.

    Items are `(picture, label)`: float32 `[C, H, W]` in [0, 1] and an int. Grey pictures have one
    channel, unless there are pictures in colour among them.

    Attributes:
        labels: `[N]`, int64.
        classes: the class names.
        name: what to call the data.
        where: what to call it in messages, with the split.
        channels: 1 or 3.
    """

    def __init__(
        self,
        rows: Rows,
        column: str,
        labels: Tensor,
        classes: tuple[str, ...],
        name: str,
        where: str,
        *,
        channels: int | None = None,
        places: Tensor | None = None,
    ) -> None:
        self._rows = rows
        self._column = column
        self._places = torch.arange(len(rows)) if places is None else places
        self.labels = labels
        self.classes = classes
        self.name = name
        self.where = where
        self.channels = channels if channels is not None else self._look()

    def _look(self) -> int:
        from sfumato.data.pictures import count_channels

        some = (
            torch.linspace(0, len(self) - 1, min(_LOOKED_AT, len(self)), dtype=torch.float64)
            .long()
            .tolist()
        )
        cells = self._rows.take(self._column, self._places[some].tolist()).to_pylist()
        return count_channels(cells, self.where)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the first picture, `(C, H, W)`."""
        return tuple(self[0][0].shape)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.name} has {len(self)} records, there is no number {index}")
        return self.__getitems__([index % len(self)])[0]

    def __getitems__(self, indices: list[int]) -> list[tuple[Tensor, int]]:
        """Several items at once, as torch's `DataLoader` asks for them."""
        from sfumato.data.pictures import decode

        places = self._places[indices].tolist()
        cells = self._rows.take(self._column, places).to_pylist()
        labels = self.labels[indices].tolist()
        names = [f"record {place} of {self.where}" for place in places]
        return list(zip(decode(cells, self.channels, names), labels, strict=True))

    def subset(self, indices: Sequence[int] | Tensor) -> HubPictures:
        """The pictures at `indices`, in that order, still undecoded."""
        index = torch.as_tensor(indices, dtype=torch.int64)
        return HubPictures(
            self._rows,
            self._column,
            self.labels[index],
            self.classes,
            self.name,
            self.where,
            channels=self.channels,
            places=self._places[index],
        )


def open_hub(
    source: str,
    split: str,
    image_column: str | None = None,
    label_column: str | None = None,
) -> HubPictures:
    """Open one split of a folder in hub layout or of a data set on the hub.

    Args:
        source: a folder, or a hub id such as "ylecun/mnist".
        split: "train", "test" or whatever it is called there.
        image_column: the column of the pictures, if it cannot be told by type and name.
        label_column: the column of the labels, if it cannot be told by type and name.

    Raises:
        DataError: no such data set, split or column; a broken file; labels out of range.
        MissingDependency: `sfumato[data]` is not installed.
    """
    return pictures(open_source(source), split, image_column, label_column)


def pictures(
    source: Source, split: str, image_column: str | None, label_column: str | None
) -> HubPictures:
    """The pictures of one split of an opened source; errors as for `open_hub`."""
    if split not in source.splits:
        raise DataError(
            f"{source.name} has no split {split!r}: there is {', '.join(source.splits) or 'none'}"
        )
    where = f"{source.name} ({split})"
    column, label = find_columns(source.features, image_column, label_column, where)
    labels, classes = read_labels(source, split, label, where)
    return HubPictures(source.splits[split], column, labels, classes, source.name, where)
