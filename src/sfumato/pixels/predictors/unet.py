"""A small U-Net that is shown the picture, the bought labels and where they are."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn

from sfumato.pixels.predictors.base import check_inputs
from sfumato.pixels.predictors.blocks import Body
from sfumato.pixels.tasks import Task


@final
class UNet(nn.Module):
    """Ŝ = h_θ(I, M ⊙ S, M) (spec 5, page 8), h a small U-Net (Ronneberger et al. 2015).

    The mask is an input of its own: without it, "not bought" and the value 0 look the same.

    Args:
        channels: of the pictures.
        task: gives the channels of values and predictions.
        width: channels of the finest level.
        depth: how often the picture is halved.

    Example:
        >>> import torch
        >>> from sfumato.pixels.tasks import Segmentation
        >>> net, image = UNet(3, Segmentation(5)), torch.rand(1, 3, 7, 9)
        >>> net(image, torch.zeros(1, 5, 7, 9), torch.zeros(1, 1, 7, 9)).shape
        torch.Size([1, 5, 7, 9])
    """

    def __init__(self, channels: int, task: Task, *, width: int = 12, depth: int = 3) -> None:
        super().__init__()
        self.channels = channels
        self.shown = task.channels
        self._settings = {"width": width, "depth": depth}
        self.body = Body(channels + task.channels + 1, task.outputs, width, depth)

    def forward(self, image: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """The prediction `[B, O, H, W]`.

        Args:
            image: `[B, C, H, W]`.
            values: `[B, V, H, W]`, 0 where the mask is.
            mask: `[B, 1, H, W]`, 1 where there is a label.

        Raises:
            SettingError: other shapes.
        """
        check_inputs(image, values, mask, self.channels, self.shown)
        return self.body(torch.cat([image, values, mask], 1))

    def settings(self) -> dict[str, Any]:
        """The arguments beside channels and task, as JSON values."""
        return dict(self._settings)
