"""Pictures and targets changed together."""

from __future__ import annotations

import torch

from sfumato.pixels.scenes import Scenes


def mirrored(batch: Scenes) -> Scenes:
    """The pictures with left and right exchanged, each with probability one half."""
    flip = torch.rand(len(batch), device=batch.images.device)[:, None, None, None] < 0.5
    images = torch.where(flip, batch.images.flip(3), batch.images)
    targets = torch.where(flip, batch.targets.flip(3), batch.targets)
    valid = torch.where(flip, batch.valid.flip(3), batch.valid)
    return batch.with_(images=images, targets=targets, valid=valid)
