"""Records of a known law and mechanisms of known noise, for which the best attack is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal

from sfumato.privacy.knowledge import Knowledge


@dataclass(frozen=True)
class Additive:
    """x + σ ε, in the dtype of the record."""

    sigma: float

    def release(self, x: Tensor, labels: Tensor) -> Tensor:
        return x + self.sigma * torch.randn_like(x)

    def distribution(self, x: Tensor, selection: Tensor) -> Distribution:
        return Normal(x, torch.full_like(x, self.sigma))


@dataclass(frozen=True)
class ByScale:
    """(0.1 + x) ε: the location says nothing, the scale says it all."""

    def release(self, x: Tensor, labels: Tensor) -> Tensor:
        return (0.1 + x) * torch.randn_like(x)

    def distribution(self, x: Tensor, selection: Tensor) -> Distribution:
        return Normal(torch.zeros_like(x), 0.1 + x)


@dataclass(frozen=True)
class ByLabel:
    """a_c x + b_c + σ_c ε: every label has a location and a scale of its own."""

    factors: Tensor
    shifts: Tensor
    sigmas: Tensor

    def distribution(self, x: Tensor, selection: Tensor) -> Distribution:
        a, b, s = (v[selection].unsqueeze(1) for v in (self.factors, self.shifts, self.sigmas))
        return Normal(a * x + b, s.expand_as(x))

    def release(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.distribution(x, labels).sample()


def covariance(size: int, decay: float = 0.7) -> Tensor:
    """Σ_ij = decay^|i - j|, as between the pixels of a line."""
    place = torch.arange(size, dtype=torch.float64)
    return decay ** (place.unsqueeze(0) - place.unsqueeze(1)).abs()


def gaussian(count: int, sigma: Tensor, seed: int = 0, *, exact: bool = False) -> Tensor:
    """Records of N(0, Σ), `[count, d]`; `exact` makes their own mean 0 and covariance Σ."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(count, len(sigma), generator=generator, dtype=torch.float64)
    if exact:
        z = z - z.mean(0)
        z = z @ torch.linalg.inv(torch.linalg.cholesky(z.T @ z / count)).T
    return z @ torch.linalg.cholesky(sigma).T


def wiener(sigma: Tensor, noise: float) -> Tensor:
    """The best decoder of x + noise ε for x ~ N(0, Σ): Σ (Σ + noise² I)⁻¹."""
    return sigma @ torch.linalg.inv(sigma + noise**2 * torch.eye(len(sigma), dtype=sigma.dtype))


def wiener_leak(sigma: Tensor, noise: float) -> float:
    """Its leak: the share of the variance that it recovers."""
    return float((wiener(sigma, noise) @ sigma).trace() / sigma.trace())


def known(inputs: Tensor, mechanisms: Sequence[Additive | ByLabel], classes: int = 1) -> Knowledge:
    """An attacker who has `inputs`, whose labels go round."""
    return Knowledge(inputs, torch.arange(len(inputs)) % classes, classes, mechanisms)


def stripes(count: int, side: int = 8, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Black pictures with one white row (label 0) or column (label 1), `[N, 1, side, side]`.

    Far from Gaussian: knowing that exactly one line is white says much more than the covariance.
    """
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    place = torch.randint(side, (count,), generator=generator)
    line = torch.nn.functional.one_hot(place, side).float()
    rows = line.unsqueeze(2).expand(-1, side, side)
    columns = line.unsqueeze(1).expand(-1, side, side)
    pictures = torch.where(labels.reshape(-1, 1, 1) == 0, rows, columns)
    return pictures.unsqueeze(1).contiguous(), labels
