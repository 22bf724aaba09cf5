"""Scenes from a folder in hub layout, or from the hub."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sfumato.data.sources import Rows, Source, open_source
from sfumato.errors import DataError, SettingError
from sfumato.pixels.scenes.inpainting import digit_scenes, inpainting
from sfumato.pixels.scenes.planes import read_plane
from sfumato.pixels.scenes.resize import check_size, resize_picture
from sfumato.pixels.scenes.scenes import Scenes
from sfumato.pixels.scenes.stack import stack
from sfumato.pixels.tasks import Depth, Segmentation, Task

CLASS_MAPS = ("annotation", "segmentation", "label_map", "semantic", "mask")
DEPTH_MAPS = ("depth", "depth_map")
KNOWN_CLASSES = {"camvid": 11}
"""Data sets whose class maps also hold a number for what is void."""
_IGNORED = 255
_MOST_CLASSES = 254
_BATCH = 32


def open_scenes(
    source: str | Path,
    split: str = "train",
    *,
    task: Task | None = None,
    size: tuple[int, int] | None = None,
    limit: int | None = None,
    image_column: str = "image",
    target_column: str | None = None,
    depth_unit: float = 0.001,
) -> Scenes:
    """Read one split of a data set into memory, in the size in which it is worked on.

    A folder in hub layout holds pictures in `image_column` and in another column either class maps
    (`annotation` and other usual names: a PNG of class numbers, 255 and numbers from the task's
    `classes` on are void) or depth maps (`depth`: a 16-bit PNG, 0 where nothing was measured).
    With pictures alone the task is inpainting. Pictures are shrunk by averaging areas, class maps
    by the nearest pixel, depth maps by the median of what is valid in a block.

    Args:
        source: "digits" (inpainting, without any file), a folder in hub layout, or a hub id.
        split: "train", "test" or whatever it is called there.
        task: what is predicted; by default what the columns tell, with the classes that occur.
        size: height and width that all are brought to.
        limit: how many, spread over the split.
        image_column: the column of the pictures.
        target_column: the column of the maps, if its name is not a usual one.
        depth_unit: metres of one step of a depth map.

    Raises:
        DataError: no such data set, split or column; a broken file; maps of another kind.
        SettingError: a size or a limit below 1.
        MissingDependency: `sfumato[data]` is not installed.

    Example:
        >>> open_scenes("digits", "test", limit=10).size
        (8, 8)
    """
    if limit is not None and limit < 1:
        raise SettingError(f"limit must be at least 1, not {limit}")
    if str(source) == "digits":
        whole = digit_scenes(split)
        return whole.subset(_spread(len(whole), limit))
    opened = _opened(source)
    if split not in opened.splits:
        known = ", ".join(opened.splits) or "none"
        raise DataError(f"{opened.name} has no split {split!r}: there is {known}")
    return _read(opened, split, task, size, limit, image_column, target_column, depth_unit)


def scene_splits(
    source: str | Path,
    *,
    task: Task | None = None,
    size: tuple[int, int] | None = None,
    limit: int | None = None,
    **columns: Any,
) -> tuple[Scenes, Scenes]:
    """The training and the test scenes of a data set, with one task for both.

    The test scenes are the split "test"; without one "validation"; without either, the last fifth
    of "train": neighbours in a sequence are alike, so a split at random would flatter. Depths and
    pictures get the offset and scale of the training scenes.

    Args:
        source: as for `open_scenes`.
        task: as for `open_scenes`.
        size: as for `open_scenes`.
        limit: how many of each, spread over the split.
        columns: the other arguments of `open_scenes`.

    Raises:
        DataError: as for `open_scenes`.

    Example:
        >>> train, test = scene_splits("digits", limit=20)
        >>> len(train), len(test), train.task is test.task
        (20, 20, True)
    """
    train = open_scenes(source, "train", task=task, size=size, limit=limit, **columns)
    if task is None and isinstance(train.task, Depth):
        known = train.targets[train.valid]
        task = Depth(_rounded(known.std()) or 1.0, offset=_rounded(known.mean()))
        train = replace(train, task=task)
    for other in _others(source):
        test = open_scenes(source, other, task=train.task, size=size, limit=limit, **columns)
        return train, replace(test, task=train.task)
    return _cut(train)


def held_out_scenes(source: str | Path, **settings: Any) -> Scenes:
    """The second of what `scene_splits` gives; the training scenes are read only if needed.

    Args:
        source: as for `open_scenes`.
        settings: the other arguments of `scene_splits`; without a task, depths are in metres.

    Raises:
        DataError: as for `open_scenes`.
    """
    for other in _others(source):
        return open_scenes(source, other, **settings)
    return _cut(open_scenes(source, "train", **settings))[1]


def _cut(whole: Scenes) -> tuple[Scenes, Scenes]:
    """Of a sequence the last fifth, to test on, and what is before it."""
    cut = len(whole) - max(1, len(whole) // 5)
    if cut < 1:
        raise DataError(f"{whole.name} has one picture: there is none to test on")
    return whole.subset(slice(0, cut)), whole.subset(slice(cut, None))


def _others(source: str | Path) -> list[str]:
    if str(source) == "digits":
        return ["test"]
    splits = _opened(source).splits
    return [name for name in ("test", "validation") if name in splits]


def _opened(source: str | Path) -> Source:
    path = Path(source).expanduser()
    return open_source(str(path) if path.is_dir() else str(source))


def _rounded(number: Tensor) -> float:
    """To three digits: a setting that people can read."""
    return float(f"{float(number):.3g}")


def _read(
    opened: Source,
    split: str,
    task: Task | None,
    size: tuple[int, int] | None,
    limit: int | None,
    image_column: str,
    target_column: str | None,
    depth_unit: float,
) -> Scenes:
    where = f"{opened.name} ({split})"
    _column(opened, image_column, where)
    rows = opened.splits[split]
    index = _spread(len(rows), limit).tolist()
    column = target_column or _usual(opened)
    if column is None:
        return _coarse(rows, image_column, index, size, opened.name, where)
    _column(opened, column, where)
    maps = [
        read_plane(cell, f"the {column} of record {place} of {where}")
        for place, cell in _cells(rows, column, index)
    ]
    if task is None:
        task = Depth() if column in DEPTH_MAPS else Segmentation(_classes(opened, maps, where))
    pictures = (picture for _, picture in _pictures(rows, image_column, index, where))
    items = (
        (picture, *_target(plane, task, depth_unit))
        for picture, plane in zip(pictures, maps, strict=True)
    )
    return stack(items, task, size, opened.name, _names(opened, rows, index))


def _usual(opened: Source) -> str | None:
    return next((c for c in (*CLASS_MAPS, *DEPTH_MAPS) if c in opened.features), None)


def _column(opened: Source, column: str, where: str) -> None:
    if column not in opened.features:
        raise DataError(
            f"{where} has no column {column!r}: its columns are {', '.join(opened.features)}; "
            "name another with image_column or target_column"
        )


def _spread(count: int, limit: int | None) -> Tensor:
    if limit is None or limit >= count:
        return torch.arange(count)
    return torch.arange(limit) * count // limit


def _cells(rows: Rows, column: str, index: list[int]) -> Iterator[tuple[int, Any]]:
    for start in range(0, len(index), _BATCH):
        some = index[start : start + _BATCH]
        yield from zip(some, rows.take(column, some).to_pylist(), strict=True)


def _pictures(
    rows: Rows, column: str, index: list[int], where: str
) -> Iterator[tuple[int, Tensor]]:
    from sfumato.data.pictures import count_channels, decode

    channels = count_channels([cell for _, cell in _cells(rows, column, index[:_BATCH])], where)
    for place, cell in _cells(rows, column, index):
        yield place, decode([cell], channels, [f"record {place} of {where}"])[0]


def _target(plane: Tensor, task: Task, depth_unit: float) -> tuple[Tensor, Tensor]:
    if isinstance(task, Segmentation):
        valid = (plane >= 0) & (plane < task.classes)
        return torch.where(valid, plane, 0), valid
    return plane.float() * depth_unit, plane > 0


def _classes(opened: Source, maps: list[Tensor], where: str) -> int:
    if opened.name in KNOWN_CLASSES:
        return KNOWN_CLASSES[opened.name]
    most = max(map(_most, maps), default=-1)
    if not 1 <= most <= _MOST_CLASSES:
        raise DataError(f"the classes of {where} run up to {most}: give task=Segmentation(classes)")
    return most + 1


def _most(plane: Tensor) -> int:
    known = plane[plane != _IGNORED]
    return int(known.max()) if len(known) else -1


def _names(opened: Source, rows: Rows, index: list[int]) -> tuple[str, ...]:
    if "name" not in opened.features:
        return ()
    return tuple(str(name) for name in rows.take("name", index).to_pylist())


def _coarse(
    rows: Rows,
    column: str,
    index: list[int],
    size: tuple[int, int] | None,
    name: str,
    where: str,
) -> Scenes:
    if size is not None:
        check_size(size)
    found = [picture for _, picture in _pictures(rows, column, index, where)]
    sized = found if size is None else [resize_picture(each, size) for each in found]
    if len({tuple(each.shape) for each in sized}) != 1:
        raise DataError(f"the pictures of {where} are of several sizes, or none: give a size")
    return inpainting(torch.stack(sized), name=name)
