"""What must hold for an audit to be believed, beside its controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import final

from sfumato.privacy.audits.bracket import Information
from sfumato.privacy.audits.rows import AttackRow

_SLACK = 0.01
"""A leak may fall by so much from one K to the next, beyond its intervals."""


@final
@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Args:
        name: what it is about.
        passed: whether it holds; an audit of which a check fails is not to be trusted.
        words: what was found, in one sentence.
    """

    name: str
    passed: bool
    words: str


def growth_checks(rows: Sequence[AttackRow]) -> list[Check]:
    """The strongest leak may not clearly fall as the attacker holds more releases."""
    best: dict[int, AttackRow] = {}
    for row in rows:
        if row.reconstructs and not row.stored and not row.served:
            known = best.get(row.releases)
            if known is None or row.score.mean > known.score.mean:
                best[row.releases] = row
    found = []
    for few, many in pairwise(sorted(best)):
        less, more = best[few].score, best[many].score
        if more.high < less.low - _SLACK:
            words = (
                f"{many} releases leak {more}, less than {few} with {less}: the attacks do not "
                "make use of what they have"
            )
            found.append(Check("more releases", False, words))
    return found


def bracket_checks(information: Information | None) -> list[Check]:
    """The lower bound on the information may not clearly exceed the upper one."""
    if information is None or information.upper is None or not information.crossed:
        return []
    words = (
        f"the lower bound on the information, {information.lower} nats, exceeds the upper one, "
        f"{information.upper}: releases do not follow the law that they are said to"
    )
    return [Check("information", False, words)]


def skipped_checks(skipped: Sequence[tuple[str, str]]) -> list[Check]:
    """Controls of attacks that ran, and were themselves not run: (attack, reason)."""
    return [
        Check("control", False, f"the control of {name} was not run: {reason}")
        for name, reason in dict(skipped).items()
    ]
