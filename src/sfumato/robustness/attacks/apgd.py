"""Projected gradient ascent that controls its own step."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import final

import torch
from torch import Tensor

from sfumato.robustness.attacks.base import Attack
from sfumato.robustness.attacks.best import Best
from sfumato.robustness.attacks.gradient import Slope, slope
from sfumato.robustness.draws import ExpectedModel

MOMENTUM = 0.75
RISES = 0.75
"""The share of steps that must have raised the loss since the last checkpoint."""


@final
@dataclass(frozen=True, kw_only=True)
class APGD(Attack):
    """Auto-PGD (Croce and Hein 2020, algorithm 1), on the expected loss over the draws.

    With α = 0.75 and a step η that begins at 2ε:
    z = P(x_k + η s(x_k)), x_{k+1} = P(x_k + α (z - x_k) + (1 - α) (x_k - x_{k-1})), where s is the
    steepest direction and P the projection. At each checkpoint η is halved, and the climb goes on
    from the best point, if the loss rose in fewer than 75 % of the steps since the last one, or if
    neither η nor the best loss has changed since then. See `Attack` for the other settings.

    Args:
        steps: of one restart.
        restarts: runs, each from a random point of the ball; the best point of all is kept.
        stop: leave a record alone once it is misclassified for certain.

    Example:
        >>> import torch
        >>> from sfumato.robustness.attacks import APGD
        >>> attack = APGD(epsilon=0.1, loss="dlr", steps=5)
        >>> attack(torch.nn.Linear(4, 3), torch.rand(5, 4), torch.arange(5) % 3).shape
        torch.Size([5, 4])
    """

    steps: int = 40
    restarts: int = 1
    stop: bool = True

    @property
    def name(self) -> str:
        return f"apgd-{self.loss.replace('_', '-')}"

    def perturb(self, model: ExpectedModel, x: Tensor, labels: Tensor) -> Tensor:
        best = Best(x, self.stop)
        for _ in range(self.restarts):
            rows = best.left()
            if not len(rows):
                break
            self._climb(model, x, labels, rows, best)
        return best.point

    def _climb(
        self, model: ExpectedModel, x: Tensor, labels: Tensor, rows: Tensor, best: Best
    ) -> None:
        point = self.ball.random(x[rows])
        found = slope(model, point, labels[rows], self.loss)
        best.offer(rows, point, found)
        state = _State.start(rows, point, found, 2 * self.epsilon)
        checks = checkpoints(self.steps)
        for step in range(1, self.steps + 1):
            state = state.select(best.goes_on(state.rows))
            if not len(state.rows):
                return
            point = self._next(state, x[state.rows], 1.0 if step == 1 else MOMENTUM)
            found = slope(model, point, labels[state.rows], self.loss)
            best.offer(state.rows, point, found)
            state.move(point, found)
            if step in checks:
                state.check(step - checks[step])

    def _next(self, state: _State, centre: Tensor, share: float) -> Tensor:
        eta = state.eta.view(-1, *(1,) * (centre.dim() - 1))
        ahead = state.point + eta * self.ball.steepest(state.gradient)
        ahead = self.ball.project(ahead, centre)
        moved = share * (ahead - state.point) + (1 - share) * (state.point - state.before)
        return self.ball.project(state.point + moved, centre)


def checkpoints(steps: int) -> dict[int, int]:
    """At which steps η is looked at, each with the one before it.

    w_j = ⌈p_j N⌉ with p_0 = 0, p_1 = 0.22, p_{j+1} = p_j + max(p_j - p_{j-1} - 0.03, 0.06).
    """
    shares = [0.0, 0.22]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    found = sorted({math.ceil(round(share * steps, 9)) for share in shares if share <= 1} - {0})
    return dict(zip(found, [0, *found[:-1]], strict=True))


@final
@dataclass
class _State:
    """One climb of the records `rows`: a row of every tensor is a record."""

    rows: Tensor
    point: Tensor
    before: Tensor
    value: Tensor
    gradient: Tensor
    top: Tensor
    top_value: Tensor
    top_gradient: Tensor
    eta: Tensor
    rises: Tensor
    halved: Tensor
    last_top: Tensor

    @classmethod
    def start(cls, rows: Tensor, point: Tensor, found: Slope, eta: float) -> _State:
        value, gradient = found.value, found.gradient
        zeros = torch.zeros_like(rows)
        # as if η had just been halved: the first checkpoint has no last one to compare with
        halved = torch.ones_like(rows, dtype=torch.bool)
        etas = torch.full_like(value, eta)
        return cls(
            rows, point, point, value, gradient, point, value, gradient, etas, zeros, halved, value
        )

    def select(self, on: Tensor) -> _State:
        """The records of the mask `on` alone."""
        return _State(**{each.name: getattr(self, each.name)[on] for each in fields(self)})

    def move(self, point: Tensor, found: Slope) -> None:
        """Go to `point`."""
        self.rises = self.rises + (found.value > self.value)
        self.before, self.point = self.point, point
        self.value, self.gradient = found.value, found.gradient
        better = found.value > self.top_value
        self.top = _where(better, point, self.top)
        self.top_gradient = _where(better, found.gradient, self.top_gradient)
        self.top_value = torch.where(better, found.value, self.top_value)

    def check(self, since: int) -> None:
        """Halve η where `since` steps brought too little, and go back to the best point there."""
        few = self.rises < RISES * since
        stuck = ~self.halved & (self.top_value <= self.last_top)
        halve = few | stuck
        self.eta = torch.where(halve, self.eta / 2, self.eta)
        self.point = _where(halve, self.top, self.point)
        self.before = _where(halve, self.top, self.before)
        self.gradient = _where(halve, self.top_gradient, self.gradient)
        self.value = torch.where(halve, self.top_value, self.value)
        self.halved, self.last_top = halve, self.top_value
        self.rises = torch.zeros_like(self.rises)


def _where(mask: Tensor, one: Tensor, other: Tensor) -> Tensor:
    return torch.where(mask.view(-1, *(1,) * (one.dim() - 1)), one, other)
