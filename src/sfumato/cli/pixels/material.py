"""The pictures that `sfumato pixels` learns from and is scored on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import torch

from sfumato.data.sources import open_source
from sfumato.errors import DataError, SettingError
from sfumato.pixels.scenes import Scenes, inpainting, open_scenes, scene_splits
from sfumato.pixels.scenes.hub import CLASS_MAPS, DEPTH_MAPS, held_out_scenes
from sfumato.pixels.tasks import Depth, Regression, Segmentation, Task
from sfumato.pixels.training.budget import check_budget

LARGEST = 64
"""Pictures with a longer side are shrunk to it, unless a size is asked for."""
SMALL = 256
"""Pictures of at most so many pixels need larger shares: 5 % of a digit are three pixels."""


class DataOptions(Protocol):
    """The settings about data that commands share."""

    @property
    def data(self) -> str: ...
    @property
    def task(self) -> str | None: ...
    @property
    def column(self) -> str | None: ...
    @property
    def image_column(self) -> str: ...
    @property
    def classes(self) -> int | None: ...
    @property
    def size(self) -> str | None: ...
    @property
    def limit(self) -> int | None: ...


def gather(options: DataOptions) -> tuple[Scenes, Scenes]:
    """The training and the test scenes.

    Raises:
        DataError: data that cannot be used, or of one class alone.
        SettingError: settings that do not go together.
    """
    check_task(options)
    wanted = size_of(options.size)
    if options.data == "digits":
        if options.task not in (None, "inpainting") or options.column:
            raise SettingError("digits are for inpainting: leave out --task and --column")
        train, test = scene_splits("digits", limit=options.limit)
        if wanted not in (None, train.size):
            raise SettingError(f"digits are 8x8: leave out --size {wanted[0]}x{wanted[1]}")
        return train, test
    size = wanted or _natural(options)
    task, column = _asked(options)
    train, test = scene_splits(
        options.data, task=task, size=size, limit=options.limit, image_column=options.image_column,
        target_column=column,
    )  # fmt: skip
    if options.task == "inpainting":
        return inpainting(train.images, name=train.name), inpainting(test.images, name=test.name)
    if isinstance(task, Depth):
        train, test = _measured(train, test)
    check_scenes(train)
    return train, test


def check_task(options: DataOptions) -> None:
    """Raise `SettingError` for settings of a task that do not go together."""
    if options.classes is not None and options.task in ("depth", "inpainting"):
        raise SettingError(f"--classes is for a segmentation, not for --task {options.task}")


def check_scenes(scenes: Scenes) -> None:
    """Make sure that there is something to tell apart.

    Raises:
        DataError: all known pixels are of one class, or have one value.
    """
    known = scenes.targets[scenes.valid.expand_as(scenes.targets)]
    if bool((known == known[0]).all()):
        kind = "of class" if isinstance(scenes.task, Segmentation) else "exactly"
        raise DataError(
            f"every known pixel of {scenes.name} is {kind} {known[0].item():g}: there is nothing "
            "to learn; look at the maps, or name another column with --column"
        )


def scored_scenes(options: DataOptions, task: Task, size: tuple[int, int]) -> Scenes:
    """Test scenes of a task and a size that are given, for a selector that is trained already.

    Raises:
        DataError: the data are for another task, or their pictures of another size.
    """
    if options.data == "digits":
        found = open_scenes("digits", "test", limit=options.limit)
    else:
        column = options.column or _usual_column(options.data, str(task.settings()["task"]))
        found = held_out_scenes(
            options.data, task=None if isinstance(task, Regression) else task, size=size,
            limit=options.limit, image_column=options.image_column, target_column=column,
        )  # fmt: skip
        if isinstance(task, Regression):
            found = inpainting(found.images, name=found.name)
    if found.task.settings() != task.settings():
        raise DataError(
            f"{found.name} is for {found.task.settings()['task']}, and the run was trained for "
            f"{task.settings()['task']}: give data of that kind"
        )
    if found.size != size:
        raise DataError(
            f"the pictures of {found.name} are {found.size[0]}x{found.size[1]}, and the run was "
            f"trained on {size[0]}x{size[1]}"
        )
    return replace(found, task=task)


def budget_of(scenes: Scenes, k: int | None, share: float | None) -> int:
    """The pixels per picture that are asked for.

    Raises:
        SettingError: both or neither of them can be, or they do not fit the pictures.
    """
    if k is not None and share is not None:
        raise SettingError("give --k or --share, not both")
    if k is None:
        share = share if share is not None else (0.125 if scenes.pixels <= SMALL else 0.05)
        if not 0 < share < 1:
            raise SettingError(f"--share lies between 0 and 1, not {share:g}")
        k = max(1, round(share * scenes.pixels))
    check_k(k, scenes)
    return k


def budgets_of(scenes: Scenes, ks: Sequence[int], shares: Sequence[float]) -> list[int]:
    """Several budgets, the smallest first.

    Raises:
        SettingError: as for one.
    """
    if ks and shares:
        raise SettingError("give --k or --share, not both")
    if ks:
        found = [budget_of(scenes, k, None) for k in ks]
    else:
        usual = (1 / 16, 1 / 8, 1 / 4) if scenes.pixels <= SMALL else (0.01, 0.02, 0.05)
        found = [budget_of(scenes, None, share) for share in shares or usual]
    return sorted(set(found))


def check_k(k: int, scenes: Scenes) -> None:
    """Raise `SettingError` unless 1 to all but one of the pixels are asked for."""
    if not 1 <= k < scenes.pixels:
        raise SettingError(
            f"--k must be from 1 to {scenes.pixels - 1}: the pictures have {scenes.size[0]}x"
            f"{scenes.size[1]} = {scenes.pixels} pixels, and --k is {k}"
        )
    check_budget(k, scenes.pixels)


def size_of(text: str | None) -> tuple[int, int] | None:
    """Height and width, where they are asked for.

    Raises:
        SettingError: they are no height and width.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d+) ?[x×] ?(\d+)", text)
    if found is None or not (int(found[1]) and int(found[2])):
        raise SettingError(f"--size is a height and a width, such as 48x64, not {text}")
    return int(found[1]), int(found[2])


def _asked(options: DataOptions) -> tuple[Task | None, str | None]:
    """The task, where it cannot be told from the column, and the column of its maps."""
    column, task = options.column, options.task
    if column is None:
        column = _usual_column(options.data, task)
    if options.classes is not None:
        return Segmentation(options.classes), column
    if task == "depth" and column not in DEPTH_MAPS:
        return Depth(), column
    return None, column


def _usual_column(data: str, task: str | None) -> str | None:
    """The column of a task's maps; None where the task needs none, or is not said.

    Raises:
        DataError: there is none.
    """
    usual = {"depth": DEPTH_MAPS, "segmentation": CLASS_MAPS}.get(task or "")
    if usual is None:
        return None
    columns = list(open_source(data).features)
    found = next((name for name in usual if name in columns), None)
    if found is None:
        raise DataError(
            f"{data} has no column for {task}: its columns are {', '.join(columns)}; name one with "
            "--column"
        )
    return found


def _measured(train: Scenes, test: Scenes) -> tuple[Scenes, Scenes]:
    """Depths with the offset and the scale of the training scenes."""
    known = train.targets[train.valid]
    task = Depth(float(known.std()) or 1.0, offset=float(known.mean()))
    return replace(train, task=task), replace(test, task=task)


def _natural(options: DataOptions) -> tuple[int, int] | None:
    """The size of the first picture, no side above the largest; None where there is no picture."""
    from sfumato.data.pictures import decode

    opened = open_source(options.data)
    rows = opened.splits.get("train")
    if rows is None or not len(rows) or options.image_column not in opened.features:
        return None  # reading the data will say so
    where = f"record 0 of {opened.name}"
    (picture,) = decode(rows.take(options.image_column, [0]).to_pylist(), 3, [where])
    sides = torch.tensor(picture.shape[1:]).double()
    shrunk = (sides * min(1.0, LARGEST / float(sides.max()))).round().clamp_min(1)
    return int(shrunk[0]), int(shrunk[1])
