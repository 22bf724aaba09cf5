"""The black-box square attack: random squares, kept where they help."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from sfumato.errors import SettingError
from sfumato.robustness.attacks.base import Attack, Kind
from sfumato.robustness.attacks.gradient import broken, expected_loss
from sfumato.robustness.attacks.losses import Loss
from sfumato.robustness.attacks.squares import Window, bumps, stripes, swapped
from sfumato.robustness.draws import ExpectedModel

HALVED_AT = (10, 50, 200, 1000, 2000, 4000, 6000, 8000)
"""Of 10,000 queries: when the share of changed pixels is halved (Andriushchenko et al. 2020)."""


@final
@dataclass(frozen=True, kw_only=True)
class Square(Attack):
    """Random search over squares (Andriushchenko et al. 2020), with outputs alone, no gradient.

    L∞: a square of random place takes the values ±ε, one sign per channel. L2: the norm of one
    window moves to another, in the shape of a bump. A change is kept where the loss rises. With
    several draws the loss is averaged over them, and the point that stands is measured anew beside
    every candidate: a lucky draw would otherwise never be beaten. Vectors `[B, D]` are rows of one
    pixel's height. See `Attack` for the other settings.

    Args:
        queries: candidates per record. With n > 1 draws each costs 2n evaluations of the model,
            otherwise one.
        share: of the pixels that the first squares cover.
        stop: leave a record alone once it is misclassified for certain.

    Example:
        >>> import torch
        >>> from sfumato.robustness.attacks import Square
        >>> attack = Square(epsilon=0.1, queries=5)
        >>> attack(torch.nn.Linear(4, 3), torch.rand(5, 4), torch.arange(5) % 3).shape
        torch.Size([5, 4])
    """

    loss: Loss = "margin"
    queries: int = 500
    share: float = 0.3
    stop: bool = True

    kind: ClassVar[Kind] = "black-box"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.share <= 1:
            raise SettingError(f"share must be in (0, 1], not {self.share}")

    @property
    def name(self) -> str:
        return "square"

    @torch.no_grad()
    def perturb(self, model: ExpectedModel, x: Tensor, labels: Tensor) -> Tensor:
        shape = x.shape
        centre = x if x.dim() == 4 else x.flatten(1)[:, None, None]
        point = self._start(centre)
        value, done = self._score(model, point.view(shape), labels)
        for query in range(1, self.queries):
            rows = (~done if self.stop else torch.ones_like(done)).nonzero().squeeze(1)
            if not len(rows):
                break
            old, own = point[rows], labels[rows]
            new = self._candidate(old, centre[rows], query)
            fits = (len(rows), *shape[1:])
            rise, certain = self._score(model, new.view(fits), own)
            stands = value[rows] if model.draws == 1 else self._score(model, old.view(fits), own)[0]
            better = rise > stands
            point[rows] = torch.where(better.view(-1, 1, 1, 1), new, old)
            value[rows] = torch.where(better, rise, stands)
            done[rows] = better & certain
        return point.view(shape)

    def _start(self, centre: Tensor) -> Tensor:
        if self.norm == "linf":
            return self.ball.project(centre + self.epsilon * stripes(centre), centre)
        return self.ball.project(centre + self.epsilon * bumps(centre), centre)

    def _candidate(self, point: Tensor, centre: Tensor, query: int) -> Tensor:
        part = share_at(self.share, query, self.queries)
        height, width = point.shape[2:]
        if self.norm == "l2":
            return self.ball.project(centre + swapped(point - centre, part, self.epsilon), centre)
        window = Window.random(point, max(1, round(math.sqrt(part * height * width))))
        sign = torch.randint(0, 2, (*point.shape[:2], 1, 1), device=point.device) * 2 - 1
        changed = torch.where(window.mask(), centre + self.epsilon * sign, point)
        return self.ball.project(changed, centre)

    def _score(self, model: ExpectedModel, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The expected loss, and whether the record is misclassified for certain."""
        sample = model.sample(x)
        return expected_loss(sample, labels, self.loss, model), broken(sample, labels)


def share_at(first: float, query: int, queries: int) -> float:
    """The share of pixels that a square covers at `query` of `queries`."""
    scaled = query * 10_000 / queries
    return first / 2 ** sum(scaled > limit for limit in HALVED_AT)
