"""What is predicted for every pixel, how bought labels are shown, and how a prediction scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

Weigh = Callable[[Tensor], Tensor]
"""How much a pixel counts, `[B, 1, H, W]`, by its target."""


class Task(ABC):
    """A pixel-wise task: depth completion, semantic segmentation, inpainting.

    A target is a tensor per picture; `valid` says where it is known. What is not valid counts
    neither in the loss nor in a figure, and a selector is never told where it is.

    Scores are sums first and figures afterwards: `tally` of many batches add up, and `figures` of
    the sum are those of the whole set. A mean over pictures of a mean over pixels would weigh a
    class by the pictures that it is in.
    """

    headline: str = ""
    """The figure that selectors are compared by."""
    higher_is_better: bool = True
    """Whether more of the headline is better."""

    @property
    @abstractmethod
    def channels(self) -> int:
        """Channels of bought labels as a network sees them, V."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Channels of a prediction, O."""

    @abstractmethod
    def encode(self, target: Tensor) -> Tensor:
        """Targets as values `[B, V, H, W]`; what of them is shown, the mask decides."""

    @abstractmethod
    def expand(self, values: Tensor) -> Tensor:
        """Values, perhaps averaged, `[B, V, H, W]`, as a prediction `[B, O, H, W]`."""

    @abstractmethod
    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The loss of every pixel `[B, 1, H, W]`, of predictions `[B, O, H, W]`."""

    def balanced(self, targets: Tensor, valid: Tensor, power: float) -> Weigh:
        """How much a pixel counts by its target, `[B, 1, H, W]`: what is rare in `targets` more.

        Of a class of frequency f it is f^-power, over its mean. Tasks without classes count all
        pixels alike.
        """
        return lambda target: torch.ones_like(target[:, :1], dtype=torch.float32)

    @abstractmethod
    def decode(self, prediction: Tensor) -> Tensor:
        """Predictions `[B, O, H, W]` as targets: class numbers, metres, grey values."""

    @abstractmethod
    def tally(self, prediction: Tensor, target: Tensor, counted: Tensor) -> Tensor:
        """Sums, float64, from which `figures` makes the scores of the pixels that are counted.

        Args:
            prediction: `[B, O, H, W]`.
            target: as the scenes hold it.
            counted: `[B, 1, H, W]`, bool.
        """

    @abstractmethod
    def figures(self, tally: Tensor) -> dict[str, float]:
        """The scores, by name, of a tally or a sum of tallies; empty where nothing was counted."""

    @abstractmethod
    def check(self, targets: Tensor, valid: Tensor) -> None:
        """Raise `DataError` for targets `[N, ..., H, W]` that are none of this task."""

    @abstractmethod
    def settings(self) -> dict[str, object]:
        """The task as JSON values: its name as "task" and its arguments."""
