"""Patterned flips: people mistake one class for one other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from sfumato.label_noise.noise.base import LabelNoise, flip


@final
@dataclass(frozen=True)
class PatternedFlips(LabelNoise):
    """Each class is taken for one other class with the probability p (spec 4 §4.3).

    As in Hendrycks et al. 2018, which spec 4 follows: the other class is drawn uniformly for each
    class, once per seed, and several classes may share one. With t(k) ≠ k:

        P(ỹ = t(k) | y = k) = p,  P(ỹ = k | y = k) = 1 - p.

    Example:
        >>> import torch
        >>> clean = torch.arange(1000) % 10
        >>> noisy = PatternedFlips(0.4).corrupt(clean, seed=0)
        >>> 0.3 < noisy.rate < 0.5
        True
        >>> len(noisy.pattern)
        10
    """

    def _draw(
        self,
        clean: Tensor,
        inputs: Tensor | None,
        classes: int,
    ) -> tuple[Tensor, Tensor, tuple[int, ...]]:
        own = torch.arange(classes)
        other = torch.randint(classes - 1, (classes,))
        target = other + (other >= own)
        matrix = torch.eye(classes, dtype=torch.float64) * (1 - self.probability)
        matrix[own, target] += self.probability
        return flip(clean, target[clean], self.probability), matrix, tuple(target.tolist())
