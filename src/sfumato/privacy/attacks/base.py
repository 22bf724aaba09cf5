"""What an attack is, and what it reports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import final

from torch import Tensor

from sfumato.privacy.attacks.scene import Scene


@final
@dataclass(frozen=True)
class Outcome:
    """What an attack found.

    Args:
        figures: numbers by name.
        headline: the figure that says how well the attack did; a larger one is a stronger attack.
        chance: the value of the headline for an attacker without the releases.
        reconstructions: the attacker's guess of every attacked record, `[N, *record]`, where the
            attack makes one; figures such as the leak are then derived from it by the audit.
        notes: what a reader must know, the budget that was spent, for example.
    """

    figures: dict[str, float] = field(default_factory=dict)
    headline: str = ""
    chance: float = 0.0
    reconstructions: Tensor | None = None
    notes: tuple[str, ...] = ()


class Attack(ABC):
    """Abstract: one way to learn something of records from their releases.

    An attack knows everything but the draw: the mechanism in full, the labels, records of the same
    distribution. Settings are its constructor's; whatever it draws is seeded by the scene.
    `sf.testing.AttackContract` tests one.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """What the card calls it: lower case, words with hyphens."""

    @abstractmethod
    def run(self, scene: Scene) -> Outcome:
        """Attack `scene.seen`.

        Raises:
            SfumatoError: the scene lacks what the attack needs; the message says what.
        """
