"""A selector that sees the labels: what could be reached, and an alarm for leaks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from sfumato.errors import DataError, SettingError
from sfumato.pixels.selectors.base import Seen, Selector
from sfumato.pixels.selectors.draws import gumbel, stratified, top_k
from sfumato.pixels.selectors.spacing import spaced
from sfumato.pixels.selectors.uncertainty import Predictor, evaluated
from sfumato.train.seed import seeded


@final
@dataclass(frozen=True, eq=False)
class Truth:
    """What nobody knows before buying: for an `Oracle` alone.

    Attributes:
        values: `[B, V, H, W]`, the labels of all pixels as the predictor is shown them.
        valid: `[B, 1, H, W]`, bool: where a measurement would succeed.
        loss: from predictions `[B, O, H, W]` to the loss of every pixel `[B, 1, H, W]`.
    """

    values: Tensor
    valid: Tensor
    loss: Callable[[Tensor], Tensor]


@final
class Oracle(Selector):
    """SEES THE LABELS. It cannot be used; it shows how much better than others one could be.

    For the pictures whose truth it was made with, it looks for the mask with the least loss of the
    predictor on the valid pixels that are not bought: first the better of a grid and of a greedy
    choice (in `rounds`, where the loss is highest in the neighbourhood); then, `steps` times, some
    pixels are moved to where the loss is high, which is kept where the loss falls. So it is never
    worse than the grid in this loss; the best of all masks it need not be. A selector that comes
    close to it, or beats it, should be searched for a leak.

    Args:
        channels: of the pictures.
        size: height and width of the pictures.
        predictor: called as `predictor(image, values, mask)`.
        truth: of the very pictures that it will be called with.
        rounds: of the greedy choice.
        steps: of the search after it; each is one call of the predictor.
        spacing: of the greedy choice, in rows or columns.

    Raises:
        SettingError: a setting outside of what it may be.
        DataError: a truth of other shapes.

    Example:
        >>> import torch
        >>> image, target = torch.rand(2, 3, 8, 8), torch.rand(2, 1, 8, 8)
        >>> truth = Truth(target, torch.ones(2, 1, 8, 8).bool(), lambda made: (made - target) ** 2)
        >>> oracle = Oracle(3, (8, 8), predictor=lambda i, values, mask: values, truth=truth)
        >>> oracle(image, k=4).sum((1, 2, 3)).tolist()
        [4.0, 4.0]
    """

    def __init__(
        self,
        channels: int,
        size: tuple[int, int],
        *,
        predictor: Predictor,
        truth: Truth,
        rounds: int = 8,
        steps: int = 100,
        spacing: int = 2,
    ) -> None:
        super().__init__(channels, size)
        if rounds < 1 or steps < 0 or spacing < 1:
            raise SettingError(
                f"at least 1 round, 0 steps and a spacing of 1 are needed, not {rounds}, {steps} "
                f"and {spacing}"
            )
        plane = (len(truth.values), 1, *self.size)
        if tuple(truth.valid.shape) != plane or truth.values.shape[2:] != truth.valid.shape[2:]:
            raise DataError(
                f"the truth needs values {[plane[0], 'V', *self.size]} and valid {list(plane)}, "
                f"not {list(truth.values.shape)} and {list(truth.valid.shape)}"
            )
        self._predictor = (predictor,)  # in a tuple: not one of the selector's own modules
        self.truth = truth
        self.rounds = rounds
        self.steps = steps
        self.spacing = spacing

    @torch.no_grad()
    def choose(self, seen: Seen, k: int) -> Tensor:
        if len(seen.image) != len(self.truth.values):
            raise DataError(
                f"this oracle knows the truth of {len(self.truth.values)} pictures and is called "
                f"with {len(seen.image)}: make one per batch"
            )
        with evaluated(self._predictor[0]):
            if self.mode == "sample":
                return self._search(seen, k)
            with seeded("sfumato.pixels.Oracle"):  # the same moves at every call
                return self._search(seen, k)

    def _search(self, seen: Seen, k: int) -> Tensor:
        bought = seen.bought
        best = stratified(torch.zeros_like(bought), bought, k, centre=1.0)
        least, map_ = self._loss(seen, best)
        best, least, map_ = self._better(seen, self._greedy(seen, k), best, least, map_)
        for step in range(self.steps):
            many = max(1, round(k / 4 * (1 - step / self.steps)))
            moved = self._move(best, bought, map_, many)
            best, least, map_ = self._better(seen, moved, best, least, map_)
        return best

    def _greedy(self, seen: Seen, k: int) -> Tensor:
        """Pixels in rounds, where the loss around them is highest."""
        mask = torch.zeros_like(seen.bought)
        reach = _reach(seen.bought, k)
        parts = min(self.rounds, k)
        for part in range(parts):
            many = (part + 1) * k // parts - part * k // parts
            _, map_ = self._loss(seen, mask)
            taken = seen.bought + mask
            around = _blurred(map_, reach) * self._valid(map_)
            mask = mask + spaced(around, taken, many, self.spacing)
        return mask

    def _better(
        self, seen: Seen, mask: Tensor, best: Tensor, least: Tensor, map_: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """For every picture the one of two masks with less loss, its loss and map."""
        loss, found = self._loss(seen, mask)
        rows = (loss < least)[:, None, None, None]
        return (
            torch.where(rows, mask, best),
            torch.minimum(loss, least),
            torch.where(rows, found, map_),
        )

    def _move(self, mask: Tensor, bought: Tensor, map_: Tensor, many: int) -> Tensor:
        """Move some random pixels of a mask to where the loss is high."""
        free = int((1 - bought - mask).flatten(1).sum(1).min())
        many = min(many, free)
        if not many:
            return mask
        gone = top_k(gumbel(mask, self.source), 1 - mask, many)
        around = _blurred(map_, _reach(bought, int(mask[0].sum()))) * self._valid(map_)
        logits = around.clamp(min=1e-12).log()
        come = top_k(logits, mask + bought, many, noise=gumbel(mask, self.source))
        return mask - gone + come

    def _loss(self, seen: Seen, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The mean loss `[B]` where nothing is bought, and its map."""
        taken, valid = seen.bought + mask, self._valid(mask)
        shown = taken * valid
        made = self._predictor[0](seen.image, self.truth.values.to(mask) * shown, shown)
        map_ = self.truth.loss(made).to(mask) * valid * (1 - taken)
        if map_.shape != mask.shape or not bool(torch.isfinite(map_).all()):
            raise DataError(
                f"the oracle needs a finite loss for every pixel, {list(mask.shape)}; it got "
                f"{list(map_.shape)}"
            )
        counted = (valid * (1 - taken)).flatten(1).sum(1).clamp(min=1)
        return map_.flatten(1).sum(1) / counted, map_

    def _valid(self, like: Tensor) -> Tensor:
        return self.truth.valid.to(like)


def _reach(bought: Tensor, k: int) -> int:
    """How far one bought pixel is told about, in pixels: half the distance of a grid."""
    number = k + int(bought.flatten(1).sum(1).min())
    return max(0, round(math.sqrt(bought[0].numel() / number) / 2) - 1)


def _blurred(map_: Tensor, reach: int) -> Tensor:
    """The mean of the neighbourhood, of 2 · reach + 1 pixels a side; the border replicated."""
    if not reach:
        return map_
    wide = pad(map_, (reach,) * 4, mode="replicate")
    return avg_pool2d(wide, 2 * reach + 1, 1)
