"""Kernel interpolation: the baseline that learns nothing but two widths."""

from __future__ import annotations

import math
from typing import Any, final

import torch
from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.pixels.predictors.base import check_inputs
from sfumato.pixels.predictors.neighbourhood import kernel_average
from sfumato.pixels.tasks import Task


@final
class KernelInterpolation(nn.Module):
    """Bought labels spread to pixels that are near and of a similar colour.

    Every pixel becomes the average of the bought values around it with the weights
    exp(-½ d² / reach² - ½ |colour difference|² / colour²): a joint bilateral filter (Petschnigg
    et al. 2004; Kopf et al. 2007) of sparse points. Classes are voted for, depths are averaged.
    Time and memory are O(H·W), whatever k is.

    It needs no training. If it is trained, the two widths are.

    Args:
        channels: of the pictures.
        task: gives the channels of values and predictions.
        reach: the kernel's width in spacings √(H·W / k) of the bought pixels.
        colour: its width in colours, in units of the pictures.

    Raises:
        SettingError: a width that is not above 0.

    Example:
        >>> import torch
        >>> from sfumato.pixels.tasks import Depth
        >>> image, mask = torch.rand(1, 3, 8, 8), torch.zeros(1, 1, 8, 8)
        >>> mask[..., 4, 4] = 1
        >>> predictor = KernelInterpolation(3, Depth())
        >>> bool(predictor(image, 2.5 * mask, mask).sub(2.5).abs().max() < 1e-4)
        True
    """

    def __init__(
        self, channels: int, task: Task, *, reach: float = 0.4, colour: float = 0.1
    ) -> None:
        super().__init__()
        if not min(reach, colour) > 0:
            raise SettingError(f"a kernel's widths are above 0, not {reach} and {colour}")
        self.channels = channels
        self.task = task
        self._settings = {"reach": reach, "colour": colour}
        self.log_reach = nn.Parameter(torch.tensor(math.log(reach)))
        self.log_colour = nn.Parameter(torch.tensor(math.log(colour)))

    def forward(self, image: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """The prediction `[B, O, H, W]`; arguments and errors as for `UNet.forward`."""
        check_inputs(image, values, mask, self.channels, self.task.channels)
        features = image / self.log_colour.exp()
        found, _ = kernel_average(features, values, mask, self.log_reach.exp())
        return self.task.expand(found)

    def settings(self) -> dict[str, Any]:
        """The arguments beside channels and task, as JSON values."""
        return dict(self._settings)
