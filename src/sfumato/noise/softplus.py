"""A scale and its slope together: on the CPU the second makes the first cheaper."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_EXACT_UP_TO = 4.0  # beyond it 1 - sigmoid loses digits


def scale_and_slope(raw: Tensor, min_scale: float) -> tuple[Tensor, Tensor]:
    """Fresh tensors softplus(r) + min_scale and sigmoid(r), without a graph.

    softplus(r) = -log(1 - sigmoid(r)) costs half of softplus itself once the sigmoid is there.
    Where r is large, and where looking at r would stall an accelerator, softplus itself is taken.
    """
    slope = raw.sigmoid()
    on_cpu = raw.device.type == "cpu" and raw.numel() > 0
    if on_cpu and float(raw.amax()) <= _EXACT_UP_TO:
        log = slope.neg().log1p_()
        return torch.sub(log.new_tensor(min_scale), log, out=log), slope
    return F.softplus(raw).add_(min_scale), slope
