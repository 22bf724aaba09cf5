"""What a card says in plain words, the worst news first, the limits of the audit right after."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from sfumato.privacy.audits.limits import LINKAGE, UNTRUSTED, named
from sfumato.privacy.audits.rows import AttackRow

SELECTION, MEMBERSHIP = "selection", "membership"


def verdict(card: Any) -> tuple[str, ...]:
    """The sentences of the verdict."""
    lines = [*_trust(card), *card.limits, _leak(card), *_served(card), *_isotropic(card)]
    lines += [*_releases(card), *_linkage(card), *_others(card)]
    if card.information is not None:
        lines.append(card.information.words)
    return (*lines, _certificate(card))


def _links(row: AttackRow) -> bool:
    return not row.skipped and row.name.startswith(LINKAGE)


def _trust(card: Any) -> list[str]:
    lines = [f"{UNTRUSTED}: {one.words}." for one in card.checks if not one.passed]
    failed = [control.words for control in card.controls if not control.passed]
    if failed:
        lines.append(f"{UNTRUSTED}: {len(failed)} of its controls failed: {failed[0]}.")
    if lines:
        return lines
    if not card.controls:
        return [f"{UNTRUSTED}: it was run without its controls."]
    return []


def _leak(card: Any) -> str:
    least = card.releases[0]
    of = "one release" if least == 1 else f"{least} releases"
    return (
        f"An attacker with {of} of a record recovers {_share(card.leak.mean)} of what its label "
        f"does not tell (95 % interval {card.leak.low:.3f} to {card.leak.high:.3f}), by "
        f"{card.strongest}."
    )


def _served(card: Any) -> list[str]:
    """What records served without their label leak, at the smallest K."""
    rows = [row for row in card.attacks if row.served and row.releases == card.releases[0]]
    rows = [row for row in rows if row.reconstructs]
    if not rows:
        return []
    best = max(rows, key=lambda row: row.score.mean)
    return [f"Of a record served without its label it is {_share(best.score.mean)}."]


def _isotropic(card: Any) -> list[str]:
    """Which plain noise leaks as much, between two scales that were run."""
    for low, high in pairwise(sorted(card.baselines.isotropic, key=lambda point: point.sigma)):
        if card.releases[0] == 1 and high.leak.mean <= card.leak.mean <= low.leak.mean:
            share = (low.leak.mean - card.leak.mean) / max(low.leak.mean - high.leak.mean, 1e-12)
            sigma = low.sigma * (high.sigma / low.sigma) ** share
            return [
                f"Plain isotropic noise of σ = {sigma:.2g} leaks as much: use it instead unless "
                "your model is more accurate with this obfuscator."
            ]
    return []


def _releases(card: Any) -> list[str]:
    lines = []
    for count in card.releases[1:]:
        rows = [r for r in card.attacks if r.reconstructs and r.releases == count]
        rows = [row for row in rows if not row.stored]
        if rows:
            best = max(row.figures["leak"].mean for row in rows)
            lines.append(f"With {count} releases of a record it is {_share(best)}.")
    return lines


def _linkage(card: Any) -> list[str]:
    lines = []
    for row in card.attacks:
        if _links(row) and row.releases == card.releases[0]:
            where = "a stored release" if row.stored else "a release"
            where = "a served record" if row.served else where
            lines.append(
                f"Linkage finds the record of {where} in {_share(row.score.mean)} of cases, "
                f"where chance has {_share(row.chance)}."
            )
    return lines


def _others(card: Any) -> list[str]:
    """Attacks of other kinds that are clearly above chance."""
    found = []
    for row in card.attacks:
        first = row.releases == card.releases[0]
        if row.name == MEMBERSHIP and not row.skipped:
            found.append(_membership(row))
            continue
        if row.skipped or row.headline == "leak" or _links(row) or not first:
            continue
        if row.score.low > row.chance:
            found.append(_selection(row) if row.name == SELECTION else _above(row))
    return found


def _above(row: AttackRow) -> str:
    found = f"{row.headline} {row.score.mean:.3f}"
    return f"{named(row)}: {found}, above chance ({row.chance:.3f})."


def _membership(row: AttackRow) -> str:
    parts = [f"of the released part in {_share(row.score.mean)}"]
    if "clean" in row.figures:
        parts.append(f"of the clean part in {_share(row.figures['clean'].mean)}")
    return (
        f"Who was in the model's training set is told rightly {' and '.join(parts)} of cases, "
        f"where chance has {_share(row.chance)}."
    )


def _selection(row: AttackRow) -> str:
    return (
        "The scale or the selection of the noise depends on the record: known without noise it "
        f"would tell {_share(row.score.mean)} of it. A release shows it through its noise alone, "
        "and no certificate of fixed noise holds."
    )


def _certificate(card: Any) -> str:
    if not card.certificate:
        return "No certificate: nothing bounds a stronger attacker."
    return f"Certificate: {card.certificate[0].words}"


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"
