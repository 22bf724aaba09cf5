"""A small decoder that learns beside the obfuscator: releases and their labels -> records."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.objectives.within import class_means


@final
class Reconstructor(nn.Module):
    """x̂ = m_c + g ⊙ (y - ν_c) / τ + network((y - ν_c) / τ, m_c).

    m_c and ν_c are the class means of records and releases, τ the spread of the releases within
    their class, all from one sample of releases. g starts as the best decoder that looks at each
    element alone and the network at 0, so that no step is spent on what is known in closed form.
    Where a release has another size than its record there is no g.

    Args:
        shape: of a record.
        releases: of a release.
        num_classes: number of categories.
        width: channels of the network.
    """

    means: Tensor
    centres: Tensor
    spread: Tensor

    def __init__(
        self, shape: Sequence[int], releases: Sequence[int], num_classes: int, width: int
    ) -> None:
        super().__init__()
        self.shape, self.size = tuple(shape), math.prod(shape)
        seen = math.prod(releases)
        self.like = seen == self.size
        self.register_buffer("means", torch.zeros(num_classes, self.size))
        self.register_buffer("centres", torch.zeros(num_classes, seen))
        self.register_buffer("spread", torch.ones(seen))
        self.gain = nn.Parameter(torch.zeros(self.size if self.like else 0))
        self.pictures = self.like and len(self.shape) == 3
        if self.pictures:
            self.network: nn.Module = _PictureNetwork(self.shape[0], width)
        else:
            self.network = _flat_network(seen + self.size, self.size, 8 * width)

    @torch.no_grad()
    def begin(self, records: Tensor, releases: Tensor, labels: Tensor) -> None:
        """Take means, spread and the first gain from one release of each record."""
        x, y = records.flatten(1), releases.flatten(1)
        self.means.copy_(class_means(x, labels, len(self.means)))
        self.centres.copy_(class_means(y, labels, len(self.centres)))
        within = y - self.centres[labels]
        self.spread.copy_(within.square().mean(0).sqrt().clamp(min=1e-6))
        if self.like:
            # within / spread has a second moment of 1: the covariance is the best gain.
            self.gain.copy_(((x - self.means[labels]) * within / self.spread).mean(0))

    def forward(self, releases: Tensor, labels: Tensor) -> Tensor:
        """Records `[B, d]` from releases `[B, ...]` and labels `[B]`."""
        mean = self.means[labels]
        seen = (releases.flatten(1) - self.centres[labels]) / self.spread
        shown = torch.cat([seen, mean], 1)
        if self.pictures:
            shown = shown.reshape(len(shown), -1, *self.shape[1:])
        guess = mean + self.network(shown).flatten(1)
        return guess + self.gain * seen if self.like else guess

    def leak(self, records: Tensor, releases: Tensor, labels: Tensor) -> Tensor:
        """1 - (squared error) / (squared error of the class mean) on a batch."""
        x = records.flatten(1)
        error = (self(releases, labels) - x).square().sum()
        label_only = (self.means[labels] - x).square().sum()
        return 1 - error / label_only.clamp(min=torch.finfo(x.dtype).tiny)


def _flat_network(inputs: int, outputs: int, width: int) -> nn.Module:
    last = nn.Linear(width, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(
        nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), last
    )


@final
class _PictureNetwork(nn.Module):
    """One level down and up; the last layer starts at 0."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(2 * channels, width, 3, padding=1)
        self.down = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.deep = nn.Conv2d(2 * width, 2 * width, 3, padding=1)
        self.up = nn.Conv2d(2 * width, width, 3, padding=1)
        self.last = nn.Conv2d(2 * width, channels, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        fine = F.silu(self.first(x))
        deep = F.silu(self.deep(F.silu(self.down(fine))))
        up = F.interpolate(F.silu(self.up(deep)), size=x.shape[2:], mode="nearest")
        return self.last(torch.cat([fine, up], 1))
