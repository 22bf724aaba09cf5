"""Kernel interpolation and a U-Net that corrects it."""

from __future__ import annotations

import math
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.pixels.predictors.base import check_inputs
from sfumato.pixels.predictors.blocks import Body
from sfumato.pixels.predictors.neighbourhood import kernel_average
from sfumato.pixels.tasks import Task

_REACH, _COLOUR = 0.4, 0.1


@final
class KernelUNet(nn.Module):
    """Kernel interpolation with learned features, shown to a U-Net that adds what is missing.

    ŝ = expand(a) + h_θ(I, M ⊙ S, M, a, w), a the average of `KernelInterpolation` with further
    features, which two convolutions make of the picture, and w its total weight. A U-Net alone
    must carry sparse labels over long distances, and learns to do so only for masks that it saw
    often.

    Args:
        channels: of the pictures.
        task: gives the channels of values and predictions.
        width: channels of the U-Net's finest level.
        depth: how often the picture is halved.
        features: how many features are learned beside the colours.

    Example:
        >>> import torch
        >>> from sfumato.pixels.tasks import Segmentation
        >>> net, image = KernelUNet(3, Segmentation(5)), torch.rand(1, 3, 7, 9)
        >>> net(image, torch.zeros(1, 5, 7, 9), torch.zeros(1, 1, 7, 9)).shape
        torch.Size([1, 5, 7, 9])
    """

    def __init__(
        self, channels: int, task: Task, *, width: int = 12, depth: int = 3, features: int = 8
    ) -> None:
        super().__init__()
        self.channels = channels
        self.task = task
        self._settings = {"width": width, "depth": depth, "features": features}
        self.log_reach = nn.Parameter(torch.tensor(math.log(_REACH)))
        self.log_colour = nn.Parameter(torch.tensor(math.log(_COLOUR)))
        self.first = nn.Conv2d(channels, width, 3, padding=1, padding_mode="replicate")
        self.second = nn.Conv2d(width, features, 3, padding=1, padding_mode="replicate")
        inputs = channels + 2 * task.channels + 2
        self.body = Body(inputs, task.outputs, width, depth)

    def forward(self, image: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """The prediction `[B, O, H, W]`; arguments and errors as for `UNet.forward`."""
        check_inputs(image, values, mask, self.channels, self.task.channels)
        learned = self.second(F.relu(self.first(image)))
        features = torch.cat([image / self.log_colour.exp(), learned], 1)
        found, weight = kernel_average(features, values, mask, self.log_reach.exp())
        sure = weight / (weight + 0.1)  # in [0, 1): whether anything alike is near
        shown = torch.cat([image, values, mask, found, sure], 1)
        return self.task.expand(found) + self.body(shown)

    def settings(self) -> dict[str, Any]:
        """The arguments beside channels and task, as JSON values."""
        return dict(self._settings)
