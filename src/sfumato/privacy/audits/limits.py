"""The bounds that a card is held against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from sfumato.errors import SettingError
from sfumato.privacy.audits.rows import AttackRow

LINKAGE = "linkage"
UNTRUSTED = "This audit is not to be trusted"


@final
@dataclass(frozen=True)
class Bounds:
    """Bounds on what a card may say; None is no bound.

    Raises:
        SettingError: a bound is NaN or negative.
    """

    max_leak: float | None = None
    max_leak_95: float | None = None
    max_linkage: float | None = None
    max_epsilon: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not value >= 0:  # NaN is not
                raise SettingError(f"{name} must be a number of at least 0, not {value}")

    @property
    def given(self) -> bool:
        """Whether there is a bound at all."""
        return any(value is not None for value in vars(self).values())


def broken_bounds(card: Any, bounds: Bounds) -> tuple[str, ...]:
    """The bounds that are not kept, in words."""
    if not bounds.given:
        return ()
    broken = [] if card.trusted else [f"{UNTRUSTED}, so that it keeps no bound."]
    rows = [row for row in card.attacks if row.reconstructs]
    if bounds.max_leak is not None:
        broken += _over(rows, "leak", "leak", bounds.max_leak)
    if bounds.max_leak_95 is not None:
        broken += _over(rows, "leak_95", "95th percentile of the leaks", bounds.max_leak_95)
    if bounds.max_linkage is not None:
        broken += _linkage(card, bounds.max_linkage)
    if bounds.max_epsilon is not None:
        broken += _epsilon(card, bounds.max_epsilon)
    return tuple(broken)


def named(row: AttackRow) -> str:
    """The attack and what it attacked."""
    if row.stored:
        return f"{row.name} on the stored set"
    thing = "served copy" if row.served else "release"
    things = "served copies" if row.served else "releases"
    return f"{row.name} on {f'1 {thing}' if row.releases == 1 else f'{row.releases} {things}'}"


def _over(rows: list[AttackRow], figure: str, what: str, most: float) -> list[str]:
    """The strongest row of each K, of the stored set and as served, that breaks the bound."""
    worst: dict[tuple[int, bool, bool], AttackRow] = {}
    for row in sorted(rows, key=lambda row: row.figures[figure].high):
        if row.figures[figure].high > most:
            worst[row.releases, row.stored, row.served] = row
    return [
        f"{named(row)}: {what} {row.figures[figure]} passes {most:g}." for row in worst.values()
    ]


def _linkage(card: Any, most: float) -> list[str]:
    rows = [row for row in card.attacks if not row.skipped and row.name.startswith(LINKAGE)]
    if not rows:
        return [f"No linkage attack was run, so that the bound {most:g} is not shown."]
    return [line for name in {row.headline for row in rows} for line in _over(
        [row for row in rows if row.headline == name], name, "linkage", most)]  # fmt: skip


def _epsilon(card: Any, most: float) -> list[str]:
    if not card.certificate:
        return [f"There is no certificate; the bound is ε ≤ {most:g}."]
    return [
        f"{one.releases} releases: {one.words} The bound is ε ≤ {most:g}."
        for one in card.certificate
        if not one.certified or one.epsilon is None or one.epsilon > most
    ]
