"""Any numbers per pixel, inpainting included."""

from __future__ import annotations

from typing import Literal, final

from sfumato.pixels.tasks.continuous import Continuous


@final
class Regression(Continuous):
    """`channels` numbers for every pixel, such as the colours of a picture to be inpainted.

    Networks see (target - offset) / scale; the loss is the squared error of spec 5, page 3, in
    these units, and the scores are `rmse` and `mae` in the targets' own unit.

    Args:
        channels: numbers per pixel.
        scale: what is one for a network; about the spread of the targets.
        offset: what is zero for a network; about their mean.
        error: "squared" as in the source, or "absolute".
        unit: of the targets, for reports.

    Example:
        >>> import torch
        >>> task, target = Regression(1, scale=2.0), torch.full((1, 1, 2, 2), 3.0)
        >>> float(task.encode(target)[0, 0, 0, 0])
        1.5
        >>> task.figures(task.tally(task.encode(target + 1), target, torch.ones_like(target) > 0))
        {'rmse': 1.0, 'mae': 1.0}
    """

    def __init__(
        self,
        channels: int = 1,
        scale: float = 1.0,
        *,
        offset: float = 0.0,
        error: Literal["squared", "absolute"] = "squared",
        unit: str = "",
    ) -> None:
        super().__init__(channels, scale, offset, error, unit)

    def settings(self) -> dict[str, object]:
        return {
            "task": "regression",
            "channels": self.channels,
            **self._arguments(),
            "unit": self.unit,
        }
