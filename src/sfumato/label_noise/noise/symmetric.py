"""Symmetric noise: every other class is as likely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from sfumato.label_noise.noise.base import LabelNoise, flip


@final
@dataclass(frozen=True)
class SymmetricFlips(LabelNoise):
    """A label becomes any other class, all alike, with the probability p.

    P(ỹ = j | y = k) = p / (C - 1) for j ≠ k. The label itself is not among what it becomes, so
    that p is the share of wrong labels.
    """

    def _draw(
        self,
        clean: Tensor,
        inputs: Tensor | None,
        classes: int,
    ) -> tuple[Tensor, Tensor, None]:
        other = torch.randint(classes - 1, (len(clean),))
        off = self.probability / (classes - 1)
        matrix = torch.full((classes, classes), off, dtype=torch.float64)
        matrix.fill_diagonal_(1 - self.probability)
        return flip(clean, other + (other >= clean), self.probability), matrix, None
