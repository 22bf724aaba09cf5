"""Data by name: a built-in, a folder in hub layout, a released folder, or a hub id."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from sfumato.data.batches import survey
from sfumato.data.digits import digits
from sfumato.data.hub import HubPictures, pictures
from sfumato.data.order import stratified_order, stratified_split
from sfumato.data.records import Records, gather
from sfumato.data.released import is_released, open_released
from sfumato.data.sources import open_source
from sfumato.errors import DataError, SettingError

HELD_OUT = 0.2
"""The share of the records that becomes the test set where there is none."""


def load(
    source: str | Path,
    split: str = "train",
    *,
    image_column: str | None = None,
    label_column: str | None = None,
) -> Records | HubPictures:
    """Open one split of a data set.

    Args:
        source: "digits", a folder in hub layout, a released folder, or a hub id.
        split: "train", "test" or whatever it is called there.
        image_column: the column of the pictures, if it cannot be told by type and name.
        label_column: the column of the labels, if it cannot be told by type and name.

    Returns:
        Records in memory, or pictures that are decoded when asked for; both are torch data sets
        with `labels`, `classes`, `name`, `shape` and `subset`.

    Raises:
        DataError: no such data set, split or column; a broken file; labels out of range.
        StoreError: a released folder that was changed.
        MissingDependency: `sfumato[data]` is not installed.
    """
    source = _expanded(source)
    if source == "digits":
        return _named(dict(zip(("train", "test"), digits(), strict=True)), split, source)
    if is_released(source):
        released = open_released(source)
        return _named({"train": released}, split, source).records()
    return pictures(open_source(source), split, image_column, label_column)


def splits(
    source: str | Path, *, image_column: str | None = None, label_column: str | None = None
) -> tuple[Records, Records] | tuple[HubPictures, HubPictures]:
    """The training and the test records of a data set; `source` and errors as for `load`.

    The test records are the split "test"; without one "validation"; without either, 20 % of
    "train", stratified, the same ones each time.
    """
    source = _expanded(source)
    if source == "digits":
        return digits()
    if is_released(source):
        released = open_released(source)
        kept, held_out = stratified_split(released.labels, HELD_OUT)
        return released.subset(kept), released.subset(held_out)
    opened = open_source(source)
    train = pictures(opened, "train", image_column, label_column)
    for other in ("test", "validation"):
        if other in opened.splits:
            return train, pictures(opened, other, image_column, label_column)
    kept, held_out = stratified_split(train.labels, HELD_OUT)
    return train.subset(kept), train.subset(held_out)


def take(dataset: Dataset[Any], limit: int | None = None, seed: int = 0) -> Records:
    """Read `limit` records of any torch data set into memory: stratified, in their own order.

    Args:
        dataset: items are a tensor and a label.
        limit: how many; None for all. More than there are means all.
        seed: which ones.

    Raises:
        SettingError: `limit` is less than 1.
        DataError: as for `gather`.
    """
    if limit is None:
        return gather(dataset)
    if limit < 1:
        raise SettingError(f"limit must be at least 1, not {limit}")
    labels = survey(dataset).labels
    if limit >= len(labels):
        return gather(dataset)
    return gather(dataset, indices=stratified_order(labels, seed)[:limit].sort().values)


def _expanded(source: str | Path) -> str:
    # No further: as a Path, "./mnist" would lose the dot that tells it from a hub id.
    return str(Path(source).expanduser()) if str(source).startswith("~") else str(source)


def _named(found: dict[str, Any], split: str, source: str) -> Any:
    if split not in found:
        raise DataError(f"{source} has no split {split!r}: there is {', '.join(found)}")
    return found[split]
