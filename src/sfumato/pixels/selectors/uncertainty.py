"""Where a predictor is least certain, given what was bought so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, final

import torch
from torch import Tensor, nn

from sfumato.errors import DataError, SettingError
from sfumato.noise.base import at_least_float32
from sfumato.pixels.selectors.base import Seen, Selector
from sfumato.pixels.selectors.checks import check_share
from sfumato.pixels.selectors.draws import stratified
from sfumato.pixels.selectors.spacing import spaced
from sfumato.train.seed import seeded

Measure = Literal["entropy", "margin", "variance"]
Predictor = Callable[[Tensor, Tensor, Tensor], Tensor]


@final
class Uncertainty(Selector):
    """The pixels at which a predictor is least certain, at a distance from each other.

    The predictor is called as `predictor(image, values, mask)` with the labels bought so far, in
    evaluation mode and without a gradient. Measures of what it gives, `[B, O, H, W]`:

    - "entropy": of softmax over the channels (classes);
    - "margin": the second largest probability less the largest;
    - "variance": of `draws` predictions, each from a random half of the bought labels and from
      what the predictor draws of itself: for numbers as for logits. It is summed over channels.

    Ask it in rounds: it can only answer to labels that have come back. Of the first round, with
    nothing bought, a share is a regular grid: a good plan is half of the budget as a grid
    (`start=1`), and the rest in two or more rounds. Choosing all at once by entropy is no better
    than a grid.

    Args:
        channels: of the pictures.
        size: height and width of the pictures.
        values: channels of the labels that the predictor is shown, at least 1.
        predictor: any module or function of that signature. It is not part of the selector's
            weights: train, move and save it by itself.
        measure: "entropy", "margin" or "variance".
        start: the share of the budget that is a grid where nothing was bought before.
        spacing: the rows or columns that picks are apart at least, from each other and from what
            was bought; 1 for no distance.
        draws: predictions for "variance".

    Raises:
        SettingError: a setting outside of what it may be.

    Example:
        >>> import torch
        >>> def predictor(image, values, mask):  # certain where it was told
        ...     return torch.cat([8 * mask, 0 * mask], dim=1)
        >>> selector = Uncertainty(3, (8, 8), values=2, predictor=predictor, start=1.0)
        >>> image = torch.rand(2, 3, 8, 8)
        >>> first = selector(image, k=4)
        >>> second = selector(image, 4, first, torch.zeros(2, 2, 8, 8))
        >>> (first + second).max().item(), (first + second).sum().item()
        (1.0, 16.0)
    """

    def __init__(
        self,
        channels: int,
        size: tuple[int, int],
        *,
        values: int,
        predictor: Predictor,
        measure: Measure = "entropy",
        start: float = 0.5,
        spacing: int = 2,
        draws: int = 8,
    ) -> None:
        super().__init__(channels, size, values=values)
        if values < 1 or not callable(predictor):
            raise SettingError("a predictor, and the channels of the labels it sees, must be given")
        if measure not in ("entropy", "margin", "variance"):
            raise SettingError(f"unknown measure {measure!r}: use entropy, margin or variance")
        if spacing < 1 or draws < 2:
            raise SettingError(
                f"a spacing of at least 1 and 2 draws or more are needed, not {spacing} and {draws}"
            )
        self._predictor = (predictor,)  # in a tuple: not one of the selector's own modules
        self.measure: Measure = measure
        self.start = check_share("start", start)
        self.spacing = spacing
        self.samples = draws

    def choose(self, seen: Seen, k: int) -> Tensor:
        empty = torch.zeros_like(seen.bought)
        fresh = ~(seen.bought > 0).flatten(1).any(1)[:, None, None, None]
        gridded = round(self.start * k)
        mask = empty
        if gridded and bool(fresh.any()):
            grid = stratified(empty, empty, gridded, centre=1.0)
            mask = grid * fresh
        rest = k - (mask > 0).flatten(1).sum(1)
        if not bool((rest > 0).any()):
            return mask
        scores = self.uncertainty(seen)
        for many in rest.unique().tolist():
            rows = (rest == many) & (rest > 0)
            taken = (seen.bought + mask)[rows]
            if many:
                mask[rows] += spaced(scores[rows], taken, int(many), self.spacing)
        return mask

    @torch.no_grad()
    def uncertainty(self, seen: Seen) -> Tensor:
        """How uncertain the predictor is of every pixel, `[B, 1, H, W]`.

        Raises:
            DataError: what the predictor gives is not `[B, O, H, W]`, or is not finite.
        """
        with evaluated(self._predictor[0]):
            if self.measure == "variance":
                return self._variance(seen)
            assert seen.values is not None
            probabilities = self._predict(seen.image, seen.values, seen.shown).softmax(1)
        if self.measure == "entropy":
            return -torch.xlogy(probabilities, probabilities).sum(1, keepdim=True)
        if probabilities.shape[1] == 1:
            raise DataError("a margin needs predictions of two classes or more")
        best = probabilities.topk(2, dim=1).values
        return best[:, 1:] - best[:, :1]

    def _variance(self, seen: Seen) -> Tensor:
        if self.mode == "sample":
            return self._variance_of_draws(seen)
        with seeded("sfumato.pixels.Uncertainty"):  # the same halves at every call
            return self._variance_of_draws(seen)

    def _variance_of_draws(self, seen: Seen) -> Tensor:
        assert seen.values is not None
        total = square = torch.zeros(())
        for _ in range(self.samples):
            shape = (1, *seen.shown.shape[1:])  # the same half of all pictures, whatever the batch
            half = self.source.symmetric(shape, torch.float32, seen.shown.device) > 0
            shown = seen.shown * half
            made = self._predict(seen.image, seen.values * shown, shown).double()
            total, square = total + made, square + made.square()
        mean = total / self.samples
        variance = (square / self.samples - mean.square()).clamp(min=0)
        return variance.sum(1, keepdim=True).float()

    def _predict(self, image: Tensor, values: Tensor, shown: Tensor) -> Tensor:
        made = self._predictor[0](image, values, shown)
        wanted = (len(image), *image.shape[2:])
        if made.dim() != 4 or (len(made), *made.shape[2:]) != wanted:
            raise DataError(f"a predictor gives [B, O, H, W] for pictures, not {list(made.shape)}")
        if not bool(torch.isfinite(made).all()):
            raise DataError("the predictor gives NaN or infinite values")
        return at_least_float32(made)

    def settings(self) -> dict[str, Any]:
        return {
            "measure": self.measure,
            "start": self.start,
            "spacing": self.spacing,
            "draws": self.samples,
        }


@contextmanager
def evaluated(predictor: Predictor) -> Iterator[None]:
    """A module in evaluation mode for a while, every part of it; a function as it is."""
    parts = list(predictor.modules()) if isinstance(predictor, nn.Module) else []
    before = [part.training for part in parts]
    for part in parts:
        part.training = False
    try:
        yield
    finally:
        for part, training in zip(parts, before, strict=True):
            part.training = training
