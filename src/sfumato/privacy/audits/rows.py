"""The rows of a card: an attack, a certificate, a point of the baseline, the worst records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

from torch import Tensor

from sfumato.errors import SettingError
from sfumato.privacy.control import Control
from sfumato.privacy.statistics import Figure


@final
@dataclass(frozen=True)
class AttackRow:
    """What one attack found, over the seeds.

    Args:
        name: of the attack.
        releases: K, how many releases of each record it averages.
        stored: whether it attacked the stored set, and not fresh releases.
        headline: the figure that says how well it did; "leak" where it reconstructs records.
        chance: the headline of an attacker without the releases.
        figures: by name.
        notes: what a reader must know, the budget for example.
        reconstructs: whether it guesses whole records.
        skipped: why it was not run; empty where it was.
        served: whether it attacked records served under the learned selection, label unknown.
    """

    name: str
    releases: int
    stored: bool
    headline: str = ""
    chance: float = 0.0
    figures: Mapping[str, Figure] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    reconstructs: bool = False
    skipped: str = ""
    served: bool = False

    @property
    def title(self) -> str:
        """The name, and what it attacked where that is not a fresh release."""
        return self.name + (" (stored)" if self.stored else " (served)" if self.served else "")

    @property
    def score(self) -> Figure:
        """The headline figure.

        Raises:
            SettingError: the attack was not run.
        """
        if self.skipped:
            raise SettingError(f"{self.name} was not run: {self.skipped}")
        return self.figures[self.headline]


@final
@dataclass(frozen=True)
class Certified:
    """The certificate of K releases, or its absence.

    Args:
        releases: K.
        certified: whether there is one.
        epsilon: of (ε, δ) local differential privacy; None where there is none.
        delta: its δ.
        words: the certificate, or why there is none.
    """

    releases: int
    certified: bool
    epsilon: float | None
    delta: float
    words: str


@final
@dataclass(frozen=True)
class IsotropicPoint:
    """The strongest leak under isotropic noise of scale `sigma`, beside the closed form."""

    sigma: float
    leak: Figure
    closed_form: Figure


@final
@dataclass(frozen=True)
class Baselines:
    """What the audited obfuscator is held against.

    Args:
        isotropic: a few scales of isotropic noise under the same attacks.
        label_only: the figures of guessing the class mean, an attacker without releases.
    """

    isotropic: tuple[IsotropicPoint, ...] = ()
    label_only: Mapping[str, Figure] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class Worst:
    """The attacked records that leak most, the worst first.

    Args:
        numbers: of the records, in the data that the attacked ones were taken from.
        labels: their classes.
        leaks: of each, under the attack and seed that did best on it.
        attacks: which attack that was.
        records: the records themselves, `[n, ...]`; None in a card read without its pictures.
        releases: what the attacker saw.
        reconstructions: what it made of it.
    """

    numbers: tuple[int, ...] = ()
    labels: tuple[int, ...] = ()
    leaks: tuple[float, ...] = ()
    attacks: tuple[str, ...] = ()
    records: Tensor | None = None
    releases: Tensor | None = None
    reconstructions: Tensor | None = None


def attack_row(content: dict[str, Any]) -> AttackRow:
    """What `dataclasses.asdict` made of a row."""
    figures = {name: Figure(**value) for name, value in content["figures"].items()}
    return AttackRow(**{**content, "figures": figures, "notes": tuple(content["notes"])})


def control_row(content: dict[str, Any]) -> Control:
    """What `dataclasses.asdict` made of a control."""
    return Control(**{**content, "found": Figure(**content["found"])})


def baselines(content: dict[str, Any]) -> Baselines:
    """What `dataclasses.asdict` made of the baselines."""
    curve = tuple(
        IsotropicPoint(one["sigma"], Figure(**one["leak"]), Figure(**one["closed_form"]))
        for one in content["isotropic"]
    )
    return Baselines(curve, {k: Figure(**v) for k, v in content["label_only"].items()})
