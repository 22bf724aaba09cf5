"""What the attacker takes for likely before any release: smooth pictures, or near the class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from sfumato.objectives.within import class_means
from sfumato.privacy.attacks.covariance import second, towards_diagonal
from sfumato.privacy.attacks.rows import Shrinkage


@final
@dataclass(frozen=True)
class Weights:
    """How much each prior counts: 1 is what the auxiliary records themselves suggest.

    Args:
        variation: of the total variation.
        gaussian: of the Gaussian prior.
    """

    variation: float
    gaussian: float

    def __str__(self) -> str:
        return f"total variation x {self.variation:g}, Gaussian prior x {self.gaussian:g}"


@final
class Prior:
    """-log p(x | c) up to a constant: τ TV(x) + (x - m_c)ᵀ Σ_c⁻¹ (x - m_c) / 2.

    TV is anisotropic: the sum of the absolute differences of neighbours, smoothed near 0. τ is
    1 / (their mean on auxiliary records), as if differences were Laplace distributed. Σ_c is
    shrunk as the linear decoder found best.

    Args:
        inputs: auxiliary records `[N, *record]`.
        labels: `[N]`.
        num_classes: number of classes.
        shrinkage: of the covariances.
    """

    def __init__(
        self, inputs: Tensor, labels: Tensor, num_classes: int, shrinkage: Shrinkage
    ) -> None:
        self.shape = inputs.shape[1:]
        self.pictures = len(self.shape) == 3
        flat = inputs.flatten(1)
        self.means = class_means(flat, labels, num_classes)
        self.precisions = _precisions(flat - self.means[labels], labels, num_classes, shrinkage)
        steps = [step.abs().mean() for step in _steps(inputs)] if self.pictures else []
        self.rates = [1 / max(float(step), 1e-6) for step in steps]
        self.sharp = [0.05 * float(step) + 1e-8 for step in steps]
        self.range = float(inputs.min()), float(inputs.max())

    def __call__(self, x: Tensor, labels: Tensor, weights: Weights) -> Tensor:
        """For records `x` `[B, *record]`: `[B]`."""
        total = x.new_zeros(len(x))
        if weights.gaussian:
            total = total + 0.5 * weights.gaussian * self._energy(x, labels)
        if weights.variation and self.pictures:
            for step, rate, sharp in zip(_steps(x), self.rates, self.sharp, strict=True):
                size = (step.square() + sharp**2).sqrt().flatten(1).sum(1)
                total = total + weights.variation * rate * size
        return total

    def _energy(self, x: Tensor, labels: Tensor) -> Tensor:
        deviation = x.flatten(1) - self.means[labels]
        if len(self.precisions) == 1:
            return (deviation @ self.precisions[0] * deviation).sum(1)
        energy = x.new_zeros(len(x))
        for c in labels.unique().tolist():
            member = (labels == c).nonzero().squeeze(1)
            own = deviation[member]
            energy = energy.index_add(0, member, (own @ self.precisions[c] * own).sum(1))
        return energy


def _steps(x: Tensor) -> list[Tensor]:
    """Differences between neighbours along both axes of pictures."""
    return [x.diff(dim=axis) for axis in (2, 3) if x.shape[axis] > 1]


def _precisions(
    deviation: Tensor, labels: Tensor, num_classes: int, shrinkage: Shrinkage
) -> list[Tensor]:
    """Σ⁻¹ of each class, or one for all where the covariance is pooled."""
    everything = second(deviation, deviation)[0]
    if shrinkage.pooled:
        return [_inverse(everything, shrinkage.diagonal, deviation)]
    found = []
    for c in range(num_classes):
        own = deviation[labels == c]
        share = shrinkage.share(len(own))
        mixed = torch.lerp(second(own, own)[0].to(everything.dtype), everything, share)
        found.append(_inverse(mixed, shrinkage.diagonal, deviation))
    return found


def _inverse(covariance: Tensor, weight: float, like: Tensor) -> Tensor:
    shrunk = towards_diagonal(covariance.double(), covariance, weight)[0].clone()
    # Elements that never vary, a border for example, get a little freedom.
    shrunk.diagonal().add_(1e-3 * shrunk.diagonal().mean().clamp(min=1e-12))
    return torch.cholesky_inverse(torch.linalg.cholesky(shrunk)).to(like.dtype)
