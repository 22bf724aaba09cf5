"""The networks that turn releases into records."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

Shape = tuple[int, ...]
PLANES = 2  # that a release without places of its own is projected to


class Reader(nn.Module, ABC):
    """Abstract: what the linear decoder leaves over, from all that the attacker sees.

    The last layer starts at zero, so that the attack starts as the linear decoder.
    """

    @abstractmethod
    def forward(self, known: Tensor, releases: Sequence[Tensor]) -> Tensor:
        """The correction `[B, d]`.

        Args:
            known: linear reconstruction and class mean, `[B, 2, d]`.
            releases: flat releases `[B, e]`, one for each mechanism.
        """


def reader(record: Shape, releases: Sequence[Shape], width: int) -> Reader:
    """The network for records and releases of these shapes: a U-Net for pictures `(C, H, W)`."""
    if len(record) == 3:
        return PictureReader(record, releases, width)
    return VectorReader(record, releases, width)


@final
class VectorReader(Reader):
    """Two hidden layers on everything side by side."""

    def __init__(self, record: Shape, releases: Sequence[Shape], width: int) -> None:
        super().__init__()
        size, hidden = torch.Size(record).numel(), max(128, 8 * width)
        seen = 2 * size + sum(torch.Size(shape).numel() for shape in releases)
        last = _zeroed(nn.Linear(hidden, size))
        self.layers = nn.Sequential(
            nn.Linear(seen, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), last
        )

    def forward(self, known: Tensor, releases: Sequence[Tensor]) -> Tensor:
        return self.layers(torch.cat([known.flatten(1), *releases], 1))


@final
class PictureReader(Reader):
    """A U-Net. Feature maps are resized to the record's size, vectors projected to planes."""

    def __init__(self, record: Shape, releases: Sequence[Shape], width: int) -> None:
        super().__init__()
        self.record = record
        self.entries = nn.ModuleList([_entry(shape, record, 4 * width) for shape in releases])
        channels = 2 * record[0] + sum(
            shape[0] if len(shape) == 3 else PLANES for shape in releases
        )
        # A quarter less time on a CPU than with the channels first.
        network = UNet(channels, record[0], width)
        self.network = convert_conv2d_weight_memory_format(network, torch.channels_last)

    def forward(self, known: Tensor, releases: Sequence[Tensor]) -> Tensor:
        pictures = [known.reshape(len(known), -1, *self.record[1:])]
        pictures += [entry(y) for entry, y in zip(self.entries, releases, strict=True)]
        stacked = torch.cat(pictures, 1).contiguous(memory_format=torch.channels_last)
        return self.network(stacked).flatten(1)


def _entry(release: Shape, record: Shape, hidden: int) -> nn.Module:
    if len(release) == 3:
        return _Maps(release, record[1:])
    size, places = torch.Size(release).numel(), record[1] * record[2]
    hidden = max(64, hidden)
    return nn.Sequential(
        nn.Linear(size, hidden),
        nn.SiLU(),
        nn.Linear(hidden, PLANES * places),
        nn.Unflatten(1, (PLANES, *record[1:])),
    )


@final
class _Maps(nn.Module):
    """Feature maps `[B, C * H * W]` -> `[B, C, *size]`."""

    def __init__(self, shape: Shape, size: Shape) -> None:
        super().__init__()
        self.shape, self.size = shape, tuple(size)

    def forward(self, x: Tensor) -> Tensor:
        x = x.reshape(len(x), *self.shape)
        return x if x.shape[2:] == self.size else F.interpolate(x, self.size, mode="nearest")


@final
class UNet(nn.Module):
    """Two levels down and up; the last layer starts at zero."""

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        self.first = _block(inputs, width)
        self.down = _block(width, 2 * width)
        self.deep = _block(2 * width, 2 * width)
        self.up = _block(4 * width, width)
        self.last = _zeroed(nn.Conv2d(2 * width, outputs, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """`[B, inputs, H, W]` -> `[B, outputs, H, W]`."""
        first = self.first(x)
        down = self.down(F.max_pool2d(first, 2, ceil_mode=True))
        deep = self.deep(F.max_pool2d(down, 2, ceil_mode=True))
        up = self.up(torch.cat([down, _resized(deep, down)], 1))
        return self.last(torch.cat([first, _resized(up, first)], 1))


def _zeroed(layer: nn.Linear | nn.Conv2d) -> nn.Linear | nn.Conv2d:
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def _resized(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[2:], mode="nearest")


def _block(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.SiLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1), nn.SiLU(),
    )  # fmt: skip
