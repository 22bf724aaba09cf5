"""Depth completion: metres for every pixel."""

from __future__ import annotations

from typing import Literal, final

from sfumato.pixels.tasks.continuous import Continuous


@final
class Depth(Continuous):
    """The distance in metres for every pixel (spec 5, "Depth Completion Task").

    Networks see (metres - offset) / scale; the loss is the squared error of spec 5, page 3, in
    these units, and the scores are `rmse` and `mae` in metres.

    Args:
        scale: metres that are one for a network; about the spread of the depths.
        offset: metres that are zero for a network; about their mean.
        error: "squared" as in the source, or "absolute".

    Example:
        >>> import torch
        >>> Depth(offset=2.0).encode(torch.full((1, 1, 1, 1), 2.5)).item()
        0.5
    """

    def __init__(
        self,
        scale: float = 1.0,
        *,
        offset: float = 0.0,
        error: Literal["squared", "absolute"] = "squared",
    ) -> None:
        super().__init__(1, scale, offset, error, "m")

    def settings(self) -> dict[str, object]:
        return {"task": "depth", **self._arguments()}
