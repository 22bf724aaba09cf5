"""Pictures and targets in another size: areas are averaged, classes and depths are not."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato.errors import SettingError
from sfumato.pixels.tasks import Depth, Segmentation, Task


def check_size(size: tuple[int, int]) -> None:
    """Raise `SettingError` for a size without pixels."""
    if len(size) != 2 or min(size) < 1:
        raise SettingError(f"a size is a height and a width of at least 1, not {size}")


def resize_picture(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """A picture `[C, H, W]` in another size: each new pixel is the mean of the area it covers."""
    if tuple(picture.shape[1:]) == size:
        return picture
    return F.interpolate(picture[None], size, mode="area")[0]


def resize_target(
    target: Tensor, valid: Tensor, size: tuple[int, int], task: Task
) -> tuple[Tensor, Tensor]:
    """A target `[C, H, W]` and its `valid` `[1, H, W]` in another size.

    Classes are those of the nearest pixel. A depth is the median of what is valid in its block,
    which no pixel between foreground and background can be; so are other numbers that are not
    valid everywhere, and where they are, it is the mean.
    """
    if tuple(target.shape[1:]) == size:
        return target, valid
    if isinstance(task, Segmentation):
        return _nearest(target, size), _nearest(valid, size)
    if not isinstance(task, Depth) and bool(valid.all()):
        return resize_picture(target, size), valid.new_ones(1, *size)
    return block_median(target, valid, size)


def _nearest(plane: Tensor, size: tuple[int, int]) -> Tensor:
    small = F.interpolate(plane[None].double(), size, mode="nearest-exact")[0]
    return small.to(plane.dtype)


def block_median(target: Tensor, valid: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The median of the valid values in every block; 0 and not valid where there is none."""
    rows, columns = _blocks(target.shape[1], size[0]), _blocks(target.shape[2], size[1])
    unknown = torch.where(valid, target, torch.nan)
    gathered = unknown[:, rows.clamp_min(0)][:, :, :, columns.clamp_min(0)]
    outside = (rows < 0)[:, :, None, None] | (columns < 0)[None, None]
    gathered = gathered.masked_fill(outside, torch.nan)  # [C, h, a, w, b]
    median = gathered.permute(0, 1, 3, 2, 4).flatten(3).nanmedian(3).values
    known = ~median.isnan()
    return median.nan_to_num(0.0), known.all(0, keepdim=True)


def _blocks(length: int, parts: int) -> Tensor:
    """The positions in each of `parts` equal intervals: `[parts, widest]`, -1 where it has less."""
    first = torch.arange(parts) * length // parts
    last = torch.maximum((torch.arange(1, parts + 1) * length + parts - 1) // parts, first + 1)
    places = first[:, None] + torch.arange(int((last - first).max()))
    return torch.where(places < last[:, None], places, -1)
