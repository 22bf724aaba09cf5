"""Virtual cameras: a stand-in for identities where none can be had."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato.errors import DataError, SettingError
from sfumato.label_noise.reidentification.identities import Identities
from sfumato.train.seed import seeded


@final
@dataclass(frozen=True)
class VirtualCamera:
    """How one camera sees: fixed geometry and light, and a little of both that changes per view.

    Args:
        angle: rotation, radians.
        zoom: above 1 the picture is seen larger.
        shift: to the right and down, in half widths and half heights.
        gain: factor of each colour.
        offset: added to every colour.
        noise: standard deviation of the pixel noise.
    """

    angle: float
    zoom: float
    shift: tuple[float, float]
    gain: tuple[float, ...]
    offset: float
    noise: float

    def look(self, pictures: Tensor, jitter: float = 1.0) -> Tensor:
        """A view of each picture `[N, C, H, W]` in [0, 1]; `jitter` scales what changes."""
        angle = self.angle + jitter * 0.12 * torch.randn(len(pictures))
        zoom = self.zoom * (jitter * 0.06 * torch.randn(len(pictures))).exp()
        shift = torch.tensor(self.shift) + jitter * 0.08 * torch.randn(len(pictures), 2)
        cos, sin = angle.cos() / zoom, angle.sin() / zoom
        rows = torch.stack([cos, -sin, -shift[:, 0], sin, cos, -shift[:, 1]], 1)
        grid = F.affine_grid(rows.view(-1, 2, 3), list(pictures.shape), align_corners=False)
        seen = F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
        light = (jitter * 0.15 * torch.randn(len(pictures), 1, 1, 1)).exp()
        gain = torch.tensor(self.gain).view(1, -1, 1, 1)
        seen = (seen - 0.5) * gain * light + 0.5 + self.offset
        return (seen + self.noise * torch.randn_like(seen)).clamp(0, 1)


def virtual_cameras(count: int, channels: int, seed: int = 0) -> tuple[VirtualCamera, ...]:
    """Different cameras: up to 20° of rotation, 20 % of zoom, 15 % of shift, and their own light.

    Raises:
        SettingError: `count` or `channels` is below 1.
    """
    if min(count, channels) < 1:
        raise SettingError("there must be at least one camera and one channel")
    made = []
    with seeded(seed, "cameras"):
        for _ in range(count):
            angle, zoom, right, down, offset = (2 * torch.rand(5) - 1).tolist()
            gain = (0.5 * (2 * torch.rand(channels) - 1)).exp()
            made.append(
                VirtualCamera(
                    angle * math.pi / 9,
                    math.exp(0.18 * zoom),
                    (0.3 * right, 0.3 * down),
                    tuple(gain.tolist()),
                    0.15 * offset,
                    0.03,
                )
            )
    return tuple(made)


def virtual_identities(
    pictures: Tensor,
    *,
    cameras: int = 6,
    views: int = 3,
    jitter: float = 1.0,
    seed: int = 0,
    name: str = "virtual cameras",
) -> Identities:
    """Every picture as an identity, seen a few times by each of a few virtual cameras.

    This is the re-identification of *instances*, a stand-in where there are no pictures of
    people: figures on it compare methods, and say nothing of people in streets. Neither pose nor
    occlusion nor the detector's errors, which make that task hard, are in it.

    Args:
        pictures: `[N, C, H, W]` in [0, 1], one per identity.
        cameras: how many there are.
        views: that each camera has of each identity.
        jitter: how much views of one camera differ.
        seed: of cameras and views.
        name: what to call them.

    Returns:
        N · cameras · views pictures as uint8; identities and cameras are numbered from 1.

    Raises:
        DataError: pictures of another shape or outside of [0, 1].
        SettingError: fewer than one camera or view.

    Example:
        >>> import torch
        >>> virtual_identities(torch.rand(5, 1, 8, 8), cameras=2, views=3)
        Identities('virtual cameras', 30 pictures of 5 identities by 2 cameras)
    """
    if pictures.ndim != 4 or not 0 <= float(pictures.min()) <= float(pictures.max()) <= 1:
        raise DataError("pictures must be [N, C, H, W] with values in [0, 1]")
    if views < 1:
        raise SettingError(f"views must be at least 1, not {views}")
    inputs, numbers, seen_by = [], [], []
    eyes = virtual_cameras(cameras, pictures.shape[1], seed)
    for number, camera in enumerate(eyes, 1):
        for view in range(views):
            with seeded(seed, "view", number, view):
                seen = camera.look(pictures, jitter)
            inputs.append(seen.mul(255).round().to(torch.uint8))
            numbers.append(torch.arange(1, len(pictures) + 1))
            seen_by.append(torch.full((len(pictures),), number))
    return Identities(torch.cat(inputs), torch.cat(numbers), torch.cat(seen_by), name)
