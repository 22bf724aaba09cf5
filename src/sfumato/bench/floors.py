"""Plain torch layers with the least that noise can cost, and the naive ways to do our work.

Everything here is plain operations, as someone would write them down first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MIN_SCALE = 1e-3


@final
class WithDraws(nn.Module):
    """A plain layer that draws normals beside its work and does nothing with them."""

    def __init__(self, layer: nn.Module, count: int) -> None:
        super().__init__()
        self.layer = layer
        self.normals: Tensor
        self.register_buffer("normals", torch.empty(count), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The plain layer's output."""
        self.normals.normal_()
        return self.layer(x)


@final
class NaiveNoise(nn.Module):
    """A layer of twice the outputs, halved into location and raw scale, and a draw."""

    def __init__(self, layer: nn.Module, axis: int) -> None:
        super().__init__()
        self.layer, self.axis = layer, axis

    def forward(self, x: Tensor) -> Tensor:
        """A sample."""
        return draw(self.layer(x), self.axis)


@final
class NaiveHard(nn.Module):
    """Every class sees every record, and a mask picks: C times the work of one class."""

    def __init__(self, classes: int, make: Callable[[], nn.Module], noise_axis: int | None) -> None:
        super().__init__()
        self.layers = nn.ModuleList(make() for _ in range(classes))
        self.noise_axis = noise_axis

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """The output of each record's own class; a sample where there is a noise axis."""
        masks = F.one_hot(labels, len(self.layers)).to(x.dtype)
        total = torch.zeros((), dtype=x.dtype, device=x.device)
        for layer, mask in zip(self.layers, masks.unbind(1), strict=True):
            out = layer(x)
            total = total + out * mask.reshape(-1, *(1,) * (out.dim() - 1))
        return total if self.noise_axis is None else draw(total, self.noise_axis)


@final
class NaiveSoft(nn.Module):
    """Σ_c W_c (π_c ⊙ x) + b_c with one pass per class, then one draw."""

    def __init__(self, classes: int, make: Callable[[], nn.Module], shape: Sequence[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(make() for _ in range(classes))
        self.logits = nn.Parameter(torch.zeros(classes, *shape))

    def forward(self, x: Tensor) -> Tensor:
        """A sample; the bias is not weighed, which costs nothing beside the rest."""
        total = torch.zeros((), dtype=x.dtype, device=x.device)
        for layer, share in zip(self.layers, self.logits.softmax(0).unbind(0), strict=True):
            total = total + layer(x * share.reshape(*share.shape, *(1,) * (3 - share.dim())))
        return draw(total, 1)


def draw(raw: Tensor, axis: int) -> Tensor:
    """Draw location + (softplus(r) + min_scale) ε from [location; r] stacked on `axis`."""
    location, r = raw.chunk(2, axis)
    return torch.addcmul(location, F.softplus(r) + MIN_SCALE, torch.randn_like(location))
