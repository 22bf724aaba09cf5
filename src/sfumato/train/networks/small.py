"""The default classifier: a small convolutional network for small pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from sfumato.errors import SettingError


def small_cnn(shape: Sequence[int], num_classes: int) -> nn.Module:
    """Two convolutions and two fully connected layers; for vectors, three fully connected ones.

    Args:
        shape: of one record: (channels, H, W) with H and W at least 4, or (features,).
        num_classes: number of classes.

    Returns:
        A network from `[B, *shape]` to logits `[B, num_classes]`.

    Raises:
        SettingError: records of another shape; give a model of your own then.
    """
    if len(shape) == 1:
        return nn.Sequential(
            nn.Linear(shape[0], 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(),
            nn.Linear(128, num_classes),
        )  # fmt: skip
    if len(shape) != 3 or min(shape[1:]) < 4:
        raise SettingError(
            f"the small network takes pictures (C, H, W) of at least 4 x 4 pixels or vectors, not "
            f"{tuple(shape)}: give a model of your own"
        )
    channels, height, width = shape
    # Large pictures are halved once more on the way in, so that the cost stays small.
    stride = 1 if math.prod(shape[1:]) <= 1024 else 2
    height, width = -(-height // stride) // 4, -(-width // stride) // 4
    return nn.Sequential(
        nn.Conv2d(channels, 16, 3, stride, 1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * height * width, 128), nn.ReLU(), nn.Linear(128, num_classes),
    )  # fmt: skip
