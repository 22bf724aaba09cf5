"""Records of a known law and mechanisms of known noise, for which the best attack is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution, Laplace, MultivariateNormal, Normal

from sfumato.data import Records
from sfumato.privacy.attacks import Outcome, Scene
from sfumato.privacy.knowledge import Knowledge, Mechanism


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


@dataclass(frozen=True)
class Correlated:
    """x + L ε with a full covariance L Lᵀ of the flat noise."""

    root: Tensor

    def distribution(self, x: Tensor, selection: Tensor) -> Distribution:
        return MultivariateNormal(x.flatten(1), scale_tril=self.root.to(x.dtype))

    def release(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.distribution(x, labels).sample().reshape(x.shape)


@dataclass(frozen=True)
class Mixed:
    """W x + σ ε: a release of another size, which knows its law."""

    weight: Tensor
    sigma: float

    def distribution(self, x: Tensor, selection: Tensor) -> Distribution:
        location = x.flatten(1) @ self.weight.T.to(x.dtype)
        return Normal(location, torch.full_like(location, self.sigma))

    def release(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.distribution(x, labels).sample()


@dataclass(frozen=True)
class LaplaceNoise:
    """x + b ε with Laplace noise."""

    scale: float

    def distribution(self, x: Tensor, selection: Tensor) -> Distribution:
        return Laplace(x, torch.full_like(x, self.scale))

    def release(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.distribution(x, labels).sample()


@dataclass(frozen=True)
class Untold:
    """Another mechanism, which does not say what its law is."""

    inner: Additive | ByLabel | Correlated

    def release(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.inner.release(x, labels)

    def distribution(self, x: Tensor, selection: Tensor) -> Distribution:
        raise NotImplementedError("this one does not know its law")


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


def known(inputs: Tensor, mechanisms: Sequence[Mechanism], classes: int = 1) -> Knowledge:
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


def scene(
    mechanism: Mechanism,
    parts: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]],
    classes: int = 2,
    releases: int = 1,
) -> Scene:
    """A scene of the records and labels `parts`, of which the second are attacked."""
    names = tuple(str(c) for c in range(classes))
    known, attacked = (Records(x.float(), labels, names) for x, labels in parts)
    return Scene.of(mechanism, known, attacked, releases=releases)


def leak(scene: Scene, outcome: Outcome) -> float:
    """The leak of the reconstructions over the class means of the auxiliary records."""
    guess = outcome.reconstructions
    assert guess is not None
    x, labels = scene.auxiliary.inputs, scene.auxiliary.labels
    means = torch.stack([x[labels == c].mean(0) for c in range(scene.num_classes)])
    label_only = means[scene.target.labels] - scene.target.inputs
    return float(1 - (guess - scene.target.inputs).square().sum() / label_only.square().sum())


def gaussians(
    counts: tuple[int, int], sigma: Tensor, classes: int = 1
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Auxiliary and attacked records of N(0, Σ), labels going round."""
    first, second = (
        (gaussian(n, sigma, seed).float(), torch.arange(n) % classes)
        for seed, n in enumerate(counts, start=1)
    )
    return first, second


def blobs(count: int, side: int = 12, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Pictures of a rectangle on a ground, both of any grey, `[N, 1, side, side]`.

    Flat but for sharp edges.
    """
    order = torch.Generator().manual_seed(seed)
    ends = torch.randint(side + 1, (2, 2, count, 1, 1), generator=order).sort(0).values
    place = torch.arange(side)
    inside = [
        (at >= low) & (at < high)
        for at, (low, high) in zip(
            (place.reshape(1, -1, 1), place.reshape(1, 1, -1)), ends.unbind(1), strict=True
        )
    ]
    ground, grey = torch.rand(2, count, 1, 1, generator=order)
    pictures = torch.where(inside[0] & inside[1], grey, ground)
    return pictures.unsqueeze(1), torch.zeros(count, dtype=torch.long)
