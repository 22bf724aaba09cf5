"""A ridge regression that takes its examples batch by batch."""

from __future__ import annotations

import copy
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor

_LARGE = 1024
"""Products of more elements than these are taken in single precision, twice as fast."""


@final
class Ridge:
    """ŵ = p_g + (y - ν_g) A, with A = (Σ (y - ν_g)(y - ν_g)ᵀ + λ I)⁻¹ Σ (y - ν_g) wᵀ.

    ν_g and p_g are the means of y and w in the group g. λ is a multiple of the mean square of the
    elements of y - ν_g.

    Args:
        size: elements of y.
        groups: how many groups.
        answers: elements of w.
    """

    def __init__(self, size: int, groups: int, answers: int) -> None:
        self.counts = torch.zeros(groups, dtype=torch.float64)
        self.sums = torch.zeros(groups, size + answers, dtype=torch.float64)
        self.squares = torch.zeros(size, size + answers, dtype=torch.float64)
        self.means = self.sums
        self.size = size
        self.offset: Tensor | None = None
        self.gain = torch.zeros(size, answers, dtype=torch.float64)
        self.centre = torch.zeros(size, dtype=torch.float64)
        self.scale = torch.ones(size, dtype=torch.float64)

    def add(self, seen: Tensor, groups: Tensor, answers: Tensor) -> None:
        """Take examples y `[B, ...]` of groups `[B]` with the answers w `[B, answers]`."""
        flat = seen.flatten(1).double()
        if self.offset is None:
            self.offset = flat.mean(0)  # squares of small numbers lose less
        both = torch.cat([flat - self.offset, answers.flatten(1).double()], 1)
        member = F.one_hot(groups, len(self.counts)).double()
        self.counts += member.sum(0)
        self.sums += member.T @ both
        if self.size > _LARGE:
            both = both.float()
        self.squares += (both[:, : self.size].T @ both).double()

    def solved(self, strength: float) -> Ridge:
        """The regression on all examples so far, with λ = `strength` x (mean square)."""
        new = copy.copy(self)
        overall = self.sums.sum(0) / self.counts.sum()
        counts = self.counts.unsqueeze(1)
        new.means = torch.where(counts > 0, self.sums / counts.clamp(min=1), overall)
        between = (counts * new.means)[:, : self.size].T @ new.means
        within = (self.squares - between) / self.counts.sum()
        gram, cross = within[:, : self.size], within[:, self.size :]
        ridge = strength * gram.diagonal().mean().clamp(min=1e-12)
        new.gain = _solve(gram + ridge * torch.eye(self.size).double(), cross)
        total = self.squares[:, : self.size].diagonal() / self.counts.sum()
        variance = (total - overall[: self.size].square()).clamp(min=0)
        floor = 1e-3 * variance.mean().sqrt().clamp(min=1e-12)
        new.centre = overall[: self.size]
        new.scale = variance.sqrt().clamp(min=floor)
        return new

    def scores(self, seen: Tensor, groups: Tensor) -> Tensor:
        """ŵ of `seen` `[B, ...]`, `[B, answers]`."""
        flat = self._centred(seen)
        means = self.means[groups]
        return means[:, self.size :] + (flat - means[:, : self.size]) @ self.gain

    def standardised(self, seen: Tensor) -> Tensor:
        """Every element with mean 0 and variance 1 over the examples."""
        flat = (self._centred(seen) - self.centre) / self.scale
        return flat.reshape(seen.shape).float()

    def _centred(self, seen: Tensor) -> Tensor:
        flat = seen.flatten(1).double()
        return flat if self.offset is None else flat - self.offset


def _solve(gram: Tensor, cross: Tensor) -> Tensor:
    """The solution in single precision where the matrix is large and bears it."""
    if len(gram) > _LARGE:
        factor, failed = torch.linalg.cholesky_ex(gram.float())
        if not bool(failed):
            return torch.cholesky_solve(cross.float(), factor).double()
    return torch.linalg.solve(gram, cross)
