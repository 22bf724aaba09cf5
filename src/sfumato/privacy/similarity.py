"""How alike two records are: structural similarity, signal to noise, correlation."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW = 11
SPREAD = 1.5


def squared_error(guess: Tensor, records: Tensor) -> Tensor:
    """The squared error of each record, summed over its elements, `[N]`."""
    return (guess - records).double().square().flatten(1).sum(1)


def psnr(guess: Tensor, records: Tensor, data_range: float) -> Tensor:
    """Peak signal-to-noise ratio of each record in decibel, `[N]`: 10 log₁₀(L² / MSE).

    At most 100 dB, which an exact copy has too, so that means stay finite.
    """
    error = squared_error(guess, records) / records[0].numel()
    floor = data_range**2 * 1e-10
    return 10 * (2 * math.log10(data_range) - error.clamp(min=floor).log10())


def correlation(guess: Tensor, records: Tensor) -> Tensor:
    """Pearson's correlation over the elements of each record, `[N]`; 0 where one is constant."""
    x, y = (part.double().flatten(1) for part in (guess, records))
    x, y = x - x.mean(1, keepdim=True), y - y.mean(1, keepdim=True)
    both = x.square().sum(1) * y.square().sum(1)
    return torch.where(both > 0, (x * y).sum(1) / both.clamp(min=1e-300).sqrt(), 0.0)


def ssim(guess: Tensor, records: Tensor, data_range: float) -> Tensor:
    """Structural similarity of each picture, `[N]` (Wang et al. 2004, eq. 13).

    Gaussian window of 11 x 11 with a standard deviation of 1.5, K₁ = 0.01, K₂ = 0.03, averaged
    over channels and over all places, with a border of mirrored pixels.

    Args:
        guess: `[N, C, H, W]`.
        records: `[N, C, H, W]`.
        data_range: L, the difference between the largest and the smallest value.
    """
    parts = zip(guess.split(256), records.split(256), strict=True)
    return torch.cat([_ssim(x.double(), y.double(), data_range) for x, y in parts])


def _ssim(x: Tensor, y: Tensor, data_range: float) -> Tensor:
    moments = torch.cat([x, y, x * x, y * y, x * y], 1)
    mx, my, xx, yy, xy = _blurred(_mirrored(moments)).split(x.shape[1], 1)
    first, second = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    top = (2 * mx * my + first) * (2 * (xy - mx * my) + second)
    vx, vy = (xx - mx * mx).clamp(min=0), (yy - my * my).clamp(min=0)
    return (top / ((mx * mx + my * my + first) * (vx + vy + second))).flatten(1).mean(1)


def _blurred(x: Tensor) -> Tensor:
    """Each plane under the Gaussian window, along one axis after the other."""
    place = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    kernel = (-place.square() / (2 * SPREAD**2)).exp()
    kernel = kernel / kernel.sum()
    planes = x.flatten(0, 1).unsqueeze(1)
    planes = F.conv2d(planes, kernel.reshape(1, 1, -1, 1))
    planes = F.conv2d(planes, kernel.reshape(1, 1, 1, -1))
    return planes.reshape(*x.shape[:2], *planes.shape[2:])


def _mirrored(x: Tensor) -> Tensor:
    """A border of half a window, mirrored as often as it takes."""
    for axis in (2, 3):
        size = x.shape[axis]
        place = torch.arange(-(WINDOW // 2), size + WINDOW // 2, device=x.device)
        period = max(1, 2 * (size - 1))
        place = place % period
        x = x.index_select(axis, torch.where(place < size, place, period - place))
    return x
