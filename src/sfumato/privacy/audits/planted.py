"""Scenes with a known answer: noise of known strength on the audit's records, or planted secrets.

Binary records in the scale of the noise alone, which no linear decoder finds; labels in its
location; any records in its scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal

from sfumato.data.records import Records
from sfumato.privacy.audits.material import Material
from sfumato.privacy.control import Isotropic, Kind
from sfumato.privacy.knowledge import Mechanism
from sfumato.train.seed import generator

AS_THEY_ARE: tuple[Kind, ...] = ("quiet", "known", "loud")
"""Controls on the records of the audit, under isotropic noise."""

_KNOWN, _ATTACKED = 2000, 1000


@final
@dataclass(frozen=True)
class Planted:
    """What a control attacks."""

    mechanism: Mechanism
    auxiliary: Records
    target: Records


@final
@dataclass(frozen=True)
class Shifted:
    """x + s_c + σ ε: the label moves one element of its own by `step`."""

    sigma: float
    step: float

    @torch.no_grad()
    def release(self, x: Tensor, labels: Tensor) -> Tensor:
        """One fresh release of each record."""
        return self.distribution(x, labels).sample()

    def distribution(self, x: Tensor, selection: Tensor) -> Distribution:
        """The law of the release, element by element."""
        size = x[0].numel()
        shift = torch.zeros(len(x), size, dtype=x.dtype)
        step = self.step * (1 + torch.div(selection, size, rounding_mode="floor"))
        shift[torch.arange(len(x)), selection % size] = step.to(x.dtype)
        return Normal(x + shift.reshape(x.shape), torch.full_like(x, self.sigma))


@final
@dataclass(frozen=True)
class Scaled:
    """σ exp(x / 2) ε: the location says nothing, and the scale everything."""

    sigma: float

    @torch.no_grad()
    def release(self, x: Tensor, labels: Tensor) -> Tensor:
        """One fresh release of each record."""
        return self.distribution(x).sample()

    def distribution(self, x: Tensor, selection: Any = None) -> Distribution:
        """The law of the release, element by element."""
        return Normal(torch.zeros_like(x), self.sigma * torch.exp(x / 2))


def planted(kind: Kind, sigma: float, material: Material) -> Planted:
    """The scene of a control of `kind`, under noise of scale `sigma`."""
    known, target = material.auxiliary, material.target
    if kind == "binary":
        return Planted(Scaled(sigma), *_alike(material, "signs"))
    if kind == "scaled":
        return Planted(Scaled(sigma), *_alike(material, "values"))
    if kind == "shifted":
        step = 10 * float(known.inputs.double().std().clamp(min=1e-6))
        return Planted(Shifted(sigma, step), known, target)
    return Planted(Isotropic(sigma), known, target)


def _alike(material: Material, what: str) -> tuple[Records, Records]:
    """Records whose elements are all the same value: a sign, or one of the normal law."""
    parts = []
    for part, count, name in (
        (material.auxiliary, _KNOWN, "auxiliary"),
        (material.target, _ATTACKED, "target"),
    ):
        values = torch.randn(count, generator=generator("planted", what, name))
        values = values.sign() if what == "signs" else values
        inputs = values.reshape(-1, *[1] * len(part.shape)).expand(-1, *part.shape).contiguous()
        labels = torch.arange(count) % part.num_classes
        parts.append(Records(inputs, labels, part.classes, f"planted {what}"))
    return parts[0], parts[1]


def best_binary_leak(size: int) -> float:
    """The largest leak of ±1 from the scale of `size` elements, σ exp(± 1/2) ε.

    With S the sum of squares in units of σ², the best guess is tanh((S sinh 1 - size) / 2), and
    its leak the mean of that where the record is +1, of which S / e has the χ² law: integrated
    here. Of the best linear decoder it is 0.
    """
    grid = torch.linspace(-12, 12, 4001, dtype=torch.float64).exp()  # of S / e, about its mean
    half = torch.tensor(size / 2, dtype=torch.float64)
    grid = grid.pow(1 / max(1.0, float(half) ** 0.5)) * size
    weight = half * grid.log() - grid / 2  # the density, times S for the logarithmic grid
    weight = (weight - weight.max()).exp()
    guess = torch.tanh((math.e * grid * math.sinh(1) - size) / 2)
    return float((weight * guess).sum() / weight.sum())
