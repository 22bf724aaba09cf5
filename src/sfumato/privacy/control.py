"""Isotropic noise of known strength: what an attack must find on it, and what it must not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, final

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal

from sfumato.data.records import Records
from sfumato.privacy.statistics import Figure, leak_error, share_error

Kind = Literal["quiet", "known", "loud", "binary", "shifted", "scaled"]

QUIET, LOUD = 0.01, 100.0
"""Scales of the noise at which nothing is hidden, and at which nothing is left."""
CURVE = (0.5, 1.25, 3.0, 8.0)
"""Scales in between, where the best linear attack is known in closed form."""

LARGE = 1024
"""From more elements than these on, the closed form of each class would take too long."""

MUST_FIND = 0.95
MUST_NOT_FIND = 0.05
TOLERANCE = 0.02
"""How far below the closed form the strongest attack may stay."""


@final
@dataclass(frozen=True)
class Isotropic:
    """x + σ ε for every record, the same for every label and element.

    Args:
        sigma: σ, in units of the record.
    """

    sigma: float

    @torch.no_grad()
    def release(self, x: Tensor, labels: Tensor) -> Tensor:
        """One fresh release of each record."""
        return x + self.sigma * torch.randn_like(x)

    def distribution(self, x: Tensor, selection: Any = None) -> Distribution:
        """The law of the release, element by element."""
        return Normal(x, torch.full_like(x, self.sigma))


@final
@dataclass(frozen=True)
class Control:
    """What one attack found on isotropic noise, and whether it is what it had to find.

    Args:
        attack: its name; "strongest" where the audit as a whole is held against closed form.
        kind: "quiet" (nothing is hidden: it must succeed), "known" (closed form), "loud" (nothing
            is left: it must fail); "binary", "shifted" and "scaled": planted where only a decoder
            that is not linear, a reader of labels, or one of scales finds it.
        sigma: the scale of the noise, in units of the record.
        figure: which figure is looked at.
        found: its value.
        bound: what it is held against.
        passed: whether it is on the right side.
        releases: K, how many releases of each record are averaged.
    """

    attack: str
    kind: Kind
    sigma: float
    figure: str
    found: Figure
    bound: float
    passed: bool
    releases: int = 1

    @property
    def words(self) -> str:
        """The control in one sentence."""
        side = "at most" if self.kind == "loud" else "at least"
        found = f"{self.found.mean:.3f}, where {side} {self.bound:.3f} is right"
        outcome = "passed" if self.passed else "FAILED"
        where = _WHERE.get(self.kind, "under noise of σ = {:.3g}").format(self.sigma)
        if self.releases > 1:
            where += f" after {self.releases} releases"
        return f"{self.attack} {where}: {self.figure} {found}: {outcome}"


_WHERE = {
    "binary": "on planted records of ±1 that are in the scale of the noise alone",
    "shifted": "on noise that shifts one element by the label",
    "scaled": "on noise whose scale is made of the record",
}


def spread_within(records: Records) -> float:
    """The root mean square deviation of an element from its class mean: the unit of σ."""
    x = records.inputs.flatten(1).double()
    return float(_deviations(x, records.labels, x, records.labels).square().mean().sqrt())


@final
class ClosedForm:
    """The leak of linear decoders under isotropic noise, expected over all draws.

    With Σ the within-class covariance of the auxiliary records, A = Σ (Σ + σ² I)⁻¹ and z the
    attacked records' deviations from the auxiliary class means, the squared error is
    ‖z - A z‖² + σ² tr(Aᵀ A). Computed from eigenvalues, apart from any attack's own code. Σ is
    that of all classes together or of each, whichever leaks more; of large records only the first.

    Args:
        auxiliary: the attacker's records.
        target: the attacked ones.
    """

    def __init__(self, auxiliary: Records, target: Records) -> None:
        x, labels = auxiliary.inputs.flatten(1).double(), auxiliary.labels
        own = _deviations(x, labels, x, labels)
        z = _deviations(target.inputs.flatten(1).double(), target.labels, x, labels)
        everything = torch.ones(len(z), dtype=torch.bool)
        groups = [[(own, everything)]]
        if x.shape[1] <= LARGE:
            classes = target.labels.unique().tolist()
            groups.append([(own[labels == c], target.labels == c) for c in classes])
        self._label_only = z.square().sum(1)
        self._groups = [[_along(own, z, member) for own, member in group] for group in groups]

    def leak(self, sigma: float) -> Figure:
        """The larger leak of the two under noise of scale `sigma`; its interval is over records."""
        errors = [self._errors(group, sigma) for group in self._groups]
        error = min(errors, key=lambda one: float(one.sum()))
        base = self._label_only.sum().clamp(min=torch.finfo(error.dtype).tiny)
        leak = float(1 - error.sum() / base)
        return Figure.of([leak], [leak_error(error, self._label_only)])

    def _errors(self, group: list[tuple[Tensor, Tensor, Tensor]], sigma: float) -> Tensor:
        errors = torch.zeros_like(self._label_only)
        for values, along, member in group:
            gains = values / (values + sigma**2)
            left = ((1 - gains) * along).square().sum(1)
            errors[member] = left + sigma**2 * gains.square().sum()
        return errors


def _along(own: Tensor, z: Tensor, member: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Eigenvalues of the covariance of `own`, the deviations `z` of members along its vectors."""
    values, vectors = torch.linalg.eigh(own.T @ own / max(len(own), 1))
    return values.clamp(min=0), z[member] @ vectors, member


def judge(
    attack: str, kind: Kind, sigma: float, found: Figure, bound: float, releases: int = 1
) -> Control:
    """Hold the leak that an attack found against `bound`."""
    passed = found.mean <= bound if kind == "loud" else found.mean >= bound
    return Control(attack, kind, sigma, "leak", found, bound, passed, releases)


def judge_share(
    attack: str,
    kind: Kind,
    sigma: float,
    name: str,
    found: float,
    bound: float,
    count: int,
    releases: int = 1,
) -> Control:
    """Hold a headline such as top-1 linkage of `count` records against `bound`."""
    shown = Figure.of([found], [share_error(found, count)], share=True)
    passed = found <= bound if kind == "loud" else found >= bound
    return Control(attack, kind, sigma, name, shown, bound, passed, releases)


def loud_bound(chance: float, count: int) -> float:
    """The most that an attack may find where nothing is left: 0.05 and four standard errors."""
    return chance + MUST_NOT_FIND + 4 * share_error(chance, count)


def _deviations(x: Tensor, labels: Tensor, known: Tensor, known_labels: Tensor) -> Tensor:
    """`x` less the class means of `known`; of all where a class is absent."""
    z = x.clone()
    for c in labels.unique().tolist():
        member = known_labels == c
        mean = known[member].mean(0) if bool(member.any()) else known.mean(0)
        z[labels == c] -= mean
    return z
