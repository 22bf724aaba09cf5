"""The contract of all selectors: picture and budget in, a mask of exactly k pixels out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from sfumato.errors import DataError, SettingError
from sfumato.nn.base import SamplingModule


@final
@dataclass(frozen=True, eq=False)
class Seen:
    """What a selector may look at.

    Attributes:
        image: pictures `[B, C, H, W]`.
        bought: `[B, 1, H, W]` of 0 and 1, what was bought before.
        values: `[B, V, H, W]`, the labels that came back, 0 elsewhere; None if it looks at none.
        shown: `[B, 1, H, W]` of 0 and 1, which bought pixels gave a label.
    """

    image: Tensor
    bought: Tensor
    values: Tensor | None
    shown: Tensor

    def planes(self) -> Tensor:
        """All of it, one above the other, `[B, C + 1 (+ 1 + V), H, W]`: what a network sees."""
        labels = [] if self.values is None else [self.shown, self.values]
        return torch.cat([self.image, self.bought, *labels], dim=1)


class Selector(SamplingModule, ABC):
    """Chooses which pixels of a picture are measured or annotated.

    A selector sees the picture and what was bought before, never a label that it has not paid
    for. A measurement that fails (an invalid depth, a void class) has been paid for all the same.

    What a caller shows of labels that were not bought is struck out before a selector sees it.

    Selectors that draw follow `sf.sampling`: "sample" (the default) draws, "mean" chooses what is
    most likely. In both every picture gets exactly k pixels.

    Args:
        channels: of the pictures.
        size: height and width of the pictures.
        values: channels of the bought labels that the selector looks at; 0 if it does not.
    """

    learned: bool = False
    """Whether it has weights that a training can improve."""
    always_draws: bool = False
    """Whether it draws in the mode "mean" too: a baseline of which the draw is the point."""
    conditional: bool = True
    """Whether the choice depends on the picture."""

    def __init__(self, channels: int, size: tuple[int, int], *, values: int = 0) -> None:
        super().__init__()
        if channels < 1 or len(size) != 2 or min(size) < 1 or values < 0:
            raise SettingError(
                f"a selector needs at least one channel and one pixel, not {channels} channels, "
                f"pictures of {size} and {values} channels of labels"
            )
        self.channels = channels
        self.size = (int(size[0]), int(size[1]))
        self.values = values

    def forward(
        self,
        image: Tensor,
        k: int,
        bought: Tensor | None = None,
        values: Tensor | None = None,
        shown: Tensor | None = None,
    ) -> Tensor:
        """Choose k pixels of every picture.

        Args:
            image: pictures `[B, C, H, W]`.
            k: pixels to buy now, per picture.
            bought: `[B, 1, H, W]` of 0 and 1, what was bought before; none of it is chosen again.
            values: `[B, V, H, W]`, the labels that came back, 0 where there are none. What stands
                where nothing was bought is not looked at; nor is any of it if the selector's own
                `values` is 0.
            shown: `[B, 1, H, W]` of 0 and 1, which bought pixels gave a label; None if all did.

        Returns:
            `[B, 1, H, W]` of 0 and 1, with k ones per picture. Of a `differentiable` selector the
            values carry a gradient (straight through).

        Raises:
            DataError: wrong shapes, whole numbers for pictures, NaN, or a `bought` or `shown` that
                is not 0 and 1.
            SettingError: k below 1, or more than the pixels that are left.
        """
        seen = self.look(image, bought, values, shown)
        left = self.size[0] * self.size[1]
        if len(image):
            left -= int(seen.bought.flatten(1).sum(1, dtype=torch.float64).max())
        if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= left:
            raise SettingError(
                f"k must be a whole number from 1 to the {left} pixels that are left, not {k!r}"
            )
        return self.choose(seen, k) if len(image) else seen.bought

    @property
    def differentiable(self) -> bool:
        """Whether its masks carry a gradient to its weights: so of most that are learned."""
        return self.learned

    @abstractmethod
    def choose(self, seen: Seen, k: int) -> Tensor:
        """The mask `[B, 1, H, W]` for inputs that have been checked, of at least one picture."""

    def config(self) -> dict[str, Any]:
        """The constructor's arguments, as JSON values; without modules and tensors it was given."""
        shared = {"channels": self.channels, "size": list(self.size), "values": self.values}
        return {**shared, **self.settings()}

    def settings(self) -> dict[str, Any]:
        """The constructor's arguments of this kind of selector alone, as JSON values."""
        return {}

    @torch.no_grad()
    def query(
        self,
        image: Tensor,
        bought: Tensor | None,
        k: int,
        values: Tensor | None = None,
        shown: Tensor | None = None,
    ) -> Tensor:
        """Where to measure next: a person or an instrument answers in between.

        Args:
            image: pictures `[B, C, H, W]`.
            bought: `[B, 1, H, W]` of 0 and 1, or None in the first round.
            k: pixels to buy now, per picture.
            values: `[B, V, H, W]`, the labels that came back.
            shown: `[B, 1, H, W]` of 0 and 1, which bought pixels gave a label; None if all did.

        Returns:
            Locations `[B, k, 2]`, int64: row and column, from the top left.
        """
        mask = self(image, k, bought, values, shown)
        places = mask.flatten(1).nonzero()[:, 1].reshape(len(mask), k)
        width = mask.shape[3]
        return torch.stack([places.div(width, rounding_mode="floor"), places % width], dim=2)

    def look(
        self,
        image: Tensor,
        bought: Tensor | None = None,
        values: Tensor | None = None,
        shown: Tensor | None = None,
    ) -> Seen:
        """Check the inputs of a call, and strike out the labels that were not bought.

        Raises:
            DataError: as for a call.
        """
        wanted = (self.channels, *self.size)
        if image.dim() != 4 or tuple(image.shape[1:]) != wanted:
            raise DataError(
                f"this selector chooses from pictures [B, {', '.join(map(str, wanted))}], not "
                f"{list(image.shape)}"
            )
        if not image.is_floating_point():
            raise DataError(f"pictures must be floating point, not {image.dtype}: scale them first")
        if not bool(torch.isfinite(image).all()):
            raise DataError("the pictures hold NaN or infinite values: clean them first")
        if bought is None:
            bought = image.new_zeros((len(image), 1, *self.size))
        bought = _plane("bought", bought, image)
        shown = bought if shown is None else bought * _plane("shown", shown, image)
        return Seen(image, bought, self._labels(shown, values), shown)

    def _labels(self, shown: Tensor, values: Tensor | None) -> Tensor | None:
        """The labels that came back, and 0 elsewhere; None if this selector looks at none."""
        if not self.values:
            return None
        wanted = (len(shown), self.values, *self.size)
        if values is None:
            return shown.new_zeros(wanted)
        if tuple(values.shape) != wanted:
            raise DataError(
                f"this selector looks at labels {list(wanted)}, not {list(values.shape)}"
            )
        known = torch.where(shown > 0, values.to(shown), shown.new_zeros(()))
        if not bool(torch.isfinite(known).all()):
            raise DataError("a bought label is NaN or infinite: say with `shown` that it failed")
        return known


def _plane(name: str, mask: Tensor, image: Tensor) -> Tensor:
    """A mask of 0 and 1 for these pictures, in their dtype."""
    wanted = (len(image), 1, *image.shape[2:])
    if tuple(mask.shape) != wanted:
        raise DataError(f"{name} must be {list(wanted)}, not {list(mask.shape)}")
    if not bool(((mask == 0) | (mask == 1)).all()):
        raise DataError(
            f"{name} must hold 0 and 1 alone, not values from {float(mask.min()):g} to "
            f"{float(mask.max()):g}"
        )
    return mask.detach().to(image)  # what was bought is settled
