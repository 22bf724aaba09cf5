"""Pictures, what is to be predicted of them, and where that is known."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from sfumato.errors import DataError
from sfumato.pixels.tasks import Task


@final
@dataclass(frozen=True, eq=False)
class Scenes:
    """Pictures with a target for every pixel.

    Args:
        images: `[N, C, H, W]`, floating point; the loaders give values in [0, 1].
        targets: `[N, ..., H, W]` as the task wants them; anything finite where not valid.
        valid: `[N, 1, H, W]`, bool: where a measurement would succeed. Selectors never see it.
        task: what is predicted.
        name: what to call the data.
        names: what to call the pictures; their numbers where empty.

    Raises:
        DataError: shapes that do not belong together, NaN, nothing valid, or targets that are
            none of the task.

    Example:
        >>> import torch
        >>> from sfumato.pixels.tasks import Depth
        >>> pictures, metres = torch.rand(5, 3, 8, 8), torch.rand(5, 1, 8, 8)
        >>> len(Scenes(pictures, metres, metres > 0, Depth()))
        5
    """

    images: Tensor
    targets: Tensor
    valid: Tensor
    task: Task
    name: str = "scenes"
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.images.dim() != 4 or 0 in self.images.shape:
            raise DataError(
                f"pictures are [N, C, H, W], at least one, not {list(self.images.shape)}"
            )
        if not self.images.is_floating_point() or not bool(torch.isfinite(self.images).all()):
            raise DataError(
                f"the pictures of {self.name} hold NaN or infinite values, or are no floating "
                f"point numbers ({self.images.dtype}): clean them first"
            )
        count, _, *size = self.images.shape
        if tuple(self.valid.shape) != (count, 1, *size) or self.valid.dtype != torch.bool:
            raise DataError(
                f"valid must be bool {[count, 1, *size]} for pictures {list(self.images.shape)}, "
                f"not {self.valid.dtype} {list(self.valid.shape)}"
            )
        if len(self.targets) != count or list(self.targets.shape[2:]) != size:
            raise DataError(
                f"targets {list(self.targets.shape)} do not fit pictures {list(self.images.shape)}"
            )
        self.task.check(self.targets, self.valid)

    @property
    def channels(self) -> int:
        """Channels of the pictures."""
        return self.images.shape[1]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the pictures."""
        return self.images.shape[2], self.images.shape[3]

    @property
    def pixels(self) -> int:
        """Pixels in a picture."""
        return self.size[0] * self.size[1]

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, indices: Sequence[int] | Tensor | slice) -> Scenes:
        """The pictures at `indices`, in that order.

        Raises:
            DataError: there are no indices.
        """
        index = torch.arange(len(self))[indices] if isinstance(indices, slice) else indices
        index = torch.as_tensor(index, dtype=torch.int64, device=self.images.device)
        if not len(index):
            raise DataError(f"no picture of {self.name} was asked for")
        names = tuple(self.names[i] for i in index.tolist()) if self.names else ()
        images, targets, valid = self.images[index], self.targets[index], self.valid[index]
        return self.with_(images=images, targets=targets, valid=valid, names=names)

    def to(self, device: torch.device | str) -> Scenes:
        """The same on another device."""
        images, targets = self.images.to(device), self.targets.to(device)
        return self.with_(images=images, targets=targets, valid=self.valid.to(device))

    def with_(self, **changes: Any) -> Scenes:
        """The same with other contents that are known to fit: nothing is checked again.

        A part of good scenes may hold no valid pixel at all.
        """
        made = copy(self)
        vars(made).update(changes)
        return made
