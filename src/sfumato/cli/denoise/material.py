"""The records of `sfumato denoise`: any pictures, their given and, where known, true labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from sfumato.cli.denoise.command import DenoiseOptions
from sfumato.data import HubPictures, Records, load, stratified_order, take
from sfumato.data.columns import find_columns
from sfumato.data.load import HELD_OUT
from sfumato.data.order import stratified_split
from sfumato.data.released import is_released
from sfumato.data.sources import BUILT_IN, open_source
from sfumato.errors import DataError, SettingError

LARGEST = 64
"""Pictures with a longer side are made smaller, unless a size is asked for."""


@final
@dataclass(frozen=True, eq=False)
class Material:
    """What there is to learn from and to test on.

    Attributes:
        train: records, with the labels of the data.
        places: the number of each in its split, `[N]`.
        test: test records, where there are any.
        held_out: whether these were taken out of the training records.
    """

    train: Records
    places: Tensor
    test: Records | None
    held_out: bool


def gather_material(options: DenoiseOptions) -> Material:
    """Read the training records and, where there are any, test records.

    Data with no test records of their own is all searched for wrong labels; a fifth of it is held
    out only where labels are made wrong on purpose, because then the rest of the labels counts as
    the truth.

    Raises:
        DataError: records that cannot be used.
        SettingError: a size that is no height and width.
    """
    size = _size(options)
    whole, own_test = load(options.data), _test_split(options.data)
    places, test = torch.arange(len(whole)), own_test
    if own_test is None and (options.noise != "none" or options.labels is not None):
        places, held_out = stratified_split(whole.labels, HELD_OUT)
        test = whole.subset(held_out)
    if options.limit is not None and 0 < options.limit < len(places):
        few = stratified_order(whole.labels[places], 0)[: options.limit]
        places = places[few.sort().values]
    train, shape = resized(whole.subset(places), size)
    if test is not None:
        test = take(resized(test, size or shape)[0], options.limit)
    return Material(take(train, options.limit), places, test, own_test is None and test is not None)


def _size(options: DenoiseOptions) -> tuple[int, int] | None:
    if not options.size:
        return None
    if len(options.size) != 2 or min(options.size) < 1:
        raise SettingError(f"--size takes a height and a width, not {list(options.size)}")
    return options.size[0], options.size[1]


def _test_split(source: str) -> Any:
    """The data's own test records; None where it has none."""
    try:
        return load(source, "test")
    except DataError as error:
        if "has no split" not in str(error):
            raise
        return None


def resized(dataset: Any, size: tuple[int, int] | None) -> tuple[Any, tuple[int, int] | None]:
    """The data set with all pictures of one size, and that size; records stay as they are.

    Without a size the first picture decides: up to `LARGEST` pixels its own, else a square of that.
    """
    if not isinstance(dataset, HubPictures):
        if size is not None and dataset.inputs.ndim == 4:
            inputs = _brought(dataset.inputs, size)
            return Records(inputs, dataset.labels, dataset.classes, dataset.name), size
        return dataset, None
    if size is None:
        height, width = dataset.shape[1:]
        size = (height, width) if max(height, width) <= LARGEST else (LARGEST, LARGEST)
    return Resized(dataset, size), size


@final
class Resized(Dataset[tuple[Tensor, int]]):
    """Pictures brought to one size, without aliasing.

    Args:
        dataset: pictures of any sizes.
        size: height and width.
    """

    def __init__(self, dataset: HubPictures, size: tuple[int, int]) -> None:
        self.dataset = dataset
        self.size = size
        self.labels = dataset.labels
        self.classes = dataset.classes
        self.name = dataset.name
        self.where = dataset.where

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> list[tuple[Tensor, int]]:
        """Several items at once, as torch's `DataLoader` asks for them."""
        items = self.dataset.__getitems__(indices)
        return [(_brought(picture[None], self.size)[0], label) for picture, label in items]


def _brought(pictures: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(pictures.shape[2:]) == size:
        return pictures
    made = F.interpolate(pictures, size, mode="bilinear", antialias=True, align_corners=False)
    return made.clamp(0, 1)


def file_names(source: str, places: Sequence[int]) -> list[str]:
    """The files of these training records, "" where the data does not name them."""
    if source in BUILT_IN or is_released(source):
        return [""] * len(places)
    opened = open_source(source)
    column, _ = find_columns(opened.features, None, None, opened.name)
    cells = opened.splits["train"].take(column, places).to_pylist()
    return [str(cell.get("path") or "") if isinstance(cell, dict) else "" for cell in cells]
