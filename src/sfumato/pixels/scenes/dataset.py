"""Scenes from any torch data set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from sfumato.errors import DataError
from sfumato.pixels.scenes.scenes import Scenes
from sfumato.pixels.scenes.stack import stack
from sfumato.pixels.tasks import Segmentation, Task


def from_dataset(
    dataset: Dataset[Any],
    task: Task,
    *,
    size: tuple[int, int] | None = None,
    limit: int | None = None,
    name: str = "scenes",
) -> Scenes:
    """Read a torch data set of (picture, target) or (picture, target, valid) into memory.

    Args:
        dataset: with a length. Pictures `[C, H, W]`, targets `[c, H, W]` or `[H, W]`, valid
            `[1, H, W]` or `[H, W]`, bool. Without `valid`, every pixel is valid, save classes
            outside of the task and numbers that are not finite.
        task: what is predicted.
        size: height and width that all are brought to.
        limit: how many, from the first on.
        name: what to call the data.

    Raises:
        DataError: an item of another kind, or what `Scenes` raises.

    Example:
        >>> import torch
        >>> from sfumato.pixels.tasks import Depth
        >>> pictures, metres = torch.rand(4, 3, 8, 8), torch.rand(4, 1, 8, 8)
        >>> pairs = torch.utils.data.TensorDataset(pictures, metres)
        >>> from_dataset(pairs, Depth(), size=(4, 4)).size
        (4, 4)
    """
    return stack(_items(dataset, task, limit, name), task, size, name)


def _items(
    dataset: Any, task: Task, limit: int | None, name: str
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    count = len(dataset) if limit is None else min(limit, len(dataset))
    for number in range(count):
        item = dataset[number]
        if not isinstance(item, (tuple, list)) or len(item) not in (2, 3):
            raise DataError(
                f"item {number} of {name} is not (picture, target) or (picture, target, valid)"
            )
        picture, target, *rest = (torch.as_tensor(each) for each in item)
        target = target if target.dim() == 3 else target[None]
        valid = _known(target, task)
        if rest:
            valid = valid & (rest[0] if rest[0].dim() == 3 else rest[0][None]).bool()
        yield picture.float(), _clean(target, valid, task), valid


def _known(target: Tensor, task: Task) -> Tensor:
    if isinstance(task, Segmentation):
        return (target >= 0) & (target < task.classes)
    return torch.isfinite(target.float()).all(0, keepdim=True)


def _clean(target: Tensor, valid: Tensor, task: Task) -> Tensor:
    if isinstance(task, Segmentation):
        return target.long()
    return torch.where(valid, target.float(), 0.0)
