"""Single pictures with targets, of the same size in the end, as scenes."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from sfumato.errors import DataError
from sfumato.pixels.scenes.resize import check_size, resize_picture, resize_target
from sfumato.pixels.scenes.scenes import Scenes
from sfumato.pixels.tasks import Task


def stack(
    items: Iterable[tuple[Tensor, Tensor, Tensor]],
    task: Task,
    size: tuple[int, int] | None,
    name: str,
    names: tuple[str, ...] = (),
) -> Scenes:
    """Pictures `[C, H, W]`, targets `[c, H, W]` and valid `[1, H, W]` as scenes.

    Args:
        items: one at a time, so that large pictures are small before the next one is read.
        task: what is predicted.
        size: height and width of all; None leaves them as they are.
        name: what to call the data.
        names: what to call the pictures.

    Raises:
        DataError: no pictures, or of several sizes where no size is given.
    """
    if size is not None:
        check_size(size)
    pictures, targets, valids = [], [], []
    for number, (picture, target, valid) in enumerate(items):
        _check(picture, target, valid, f"picture {number} of {name}")
        if size is not None:
            target, valid = resize_target(target, valid, size, task)
            picture = resize_picture(picture, size)
        pictures.append(picture)
        targets.append(target)
        valids.append(valid)
    if not pictures:
        raise DataError(f"{name} holds no pictures")
    shapes = {tuple(picture.shape) for picture in pictures}
    if len(shapes) > 1:
        raise DataError(
            f"the pictures of {name} are of several shapes, {sorted(shapes)[:4]}: give a size"
        )
    stacked = torch.stack(pictures), torch.stack(targets), torch.stack(valids)
    return Scenes(*stacked, task, name, names)


def _check(picture: Tensor, target: Tensor, valid: Tensor, what: str) -> None:
    if picture.dim() != 3 or target.dim() != 3 or valid.dim() != 3:
        raise DataError(
            f"{what}: a picture is [C, H, W], a target [c, H, W], valid [1, H, W], not "
            f"{list(picture.shape)}, {list(target.shape)} and {list(valid.shape)}"
        )
    if not picture.shape[1:] == target.shape[1:] == valid.shape[1:]:
        raise DataError(
            f"{what} is {list(picture.shape[1:])} high and wide, its target "
            f"{list(target.shape[1:])} and valid {list(valid.shape[1:])}"
        )
