"""Fully connected networks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from sfumato.errors import SettingError


def mlp(shape: Sequence[int], num_classes: int, widths: Sequence[int] = (128, 128)) -> nn.Module:
    """Fully connected layers with ReLU between them, on flattened records.

    Spec 4 takes widths (128, 128) for label noise and (1024, 1024, 256) for adversarial defence.

    Args:
        shape: of one record.
        num_classes: number of classes.
        widths: of the hidden layers.

    Returns:
        A network from `[B, *shape]` to logits `[B, num_classes]`.

    Raises:
        SettingError: a size is not above 0.
    """
    sizes = [math.prod(shape), *widths, num_classes]
    if min(sizes) < 1:
        raise SettingError(f"every size must be above 0: records {tuple(shape)}, layers {sizes}")
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
