"""Inpainting: the predictor sees a coarse picture and is to find the sharp one."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato.data import digits
from sfumato.errors import DataError
from sfumato.pixels.scenes.scenes import Scenes
from sfumato.pixels.tasks import Regression


def inpainting(pictures: Tensor, *, factor: int = 2, name: str = "pictures") -> Scenes:
    """Sharp pictures to be found from coarse ones and k bought pixels.

    The picture that selector and predictor see is averaged over blocks of `factor` × `factor`
    pixels and enlarged again; the target is the picture itself.

    Args:
        pictures: `[N, C, H, W]` in [0, 1].
        factor: the side of a block.
        name: what to call the data.

    Raises:
        DataError: what are no pictures.

    Example:
        >>> import torch
        >>> inpainting(torch.rand(2, 1, 8, 8)).task.settings()["channels"]
        1
    """
    if pictures.dim() != 4 or 0 in pictures.shape or factor < 1:
        raise DataError(f"pictures are [N, C, H, W], not {list(pictures.shape)}")
    coarse = F.avg_pool2d(pictures, factor, ceil_mode=True, count_include_pad=False)
    height, width = pictures.shape[2:]
    coarse = coarse.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    task = Regression(pictures.shape[1], scale=0.5, offset=0.5)
    valid = torch.ones_like(pictures[:, :1], dtype=torch.bool)
    return Scenes(coarse[:, :, :height, :width].contiguous(), pictures, valid, task, name)


def digit_scenes(split: str = "train") -> Scenes:
    """Scikit-learn's 8×8 digits, 1,438 to train on and 359 to test on: the data without a file.

    Raises:
        DataError: another split than "train" and "test".
        MissingDependency: scikit-learn is not installed.
    """
    found = dict(zip(("train", "test"), digits(), strict=True))
    if split not in found:
        raise DataError(f"digits has no split {split!r}: there is train, test")
    return inpainting(found[split].inputs, name="digits")
