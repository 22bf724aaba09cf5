"""The encoder and decoder that the learned predictors share."""

from __future__ import annotations

from itertools import pairwise
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.errors import SettingError


@final
class Body(nn.Module):
    """A small U-Net for pictures of any size, odd ones included.

    The border is replicated, never filled with zeros: from zeros a network can tell the border from
    the rest, and learned masks are drawn there.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        width: channels of the finest level; each coarser one has twice as many, up to 4 · width.
        depth: how often the picture is halved.

    Raises:
        SettingError: no width or a depth below 0.
    """

    def __init__(self, inputs: int, outputs: int, width: int, depth: int) -> None:
        super().__init__()
        if width < 1 or depth < 0:
            raise SettingError(
                f"a U-Net needs a width of at least 1 and a depth of at least 0, not {width} and "
                f"{depth}"
            )
        widths = [width * min(2**level, 4) for level in range(depth + 1)]
        self.enter = _block(inputs, width)
        self.down = nn.ModuleList(_block(a, b) for a, b in pairwise(widths))
        self.up = nn.ModuleList(_block(a + b, a) for a, b in pairwise(widths))
        self.head = nn.Conv2d(width, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, inputs, H, W]` to `[B, outputs, H, W]`."""
        x = self.enter(x)
        passed = []
        for layer in self.down:
            passed.append(x)
            x = layer(F.avg_pool2d(x, 2, ceil_mode=True))
        for layer, fine in zip(reversed(self.up), reversed(passed), strict=True):
            coarse = F.interpolate(x, fine.shape[2:], mode="bilinear", align_corners=False)
            x = layer(torch.cat([fine, coarse], 1))
        return self.head(x)


def _block(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in (inputs, outputs):
        convolution = nn.Conv2d(width, outputs, 3, padding=1, padding_mode="replicate", bias=False)
        layers += [convolution, _Norm(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


@final
class _Norm(nn.BatchNorm2d):
    """Batch normalisation, which a batch of one pixel passes as in evaluation."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        if self.training and input.numel() == input.shape[1]:
            return F.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        return super().forward(input)
