"""What a card says in plain words, the worst news first, and which bounds it passes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from sfumato.privacy.audits.rows import AttackRow

LINKAGE, SELECTION, MEMBERSHIP = "linkage", "selection", "membership"
UNTRUSTED = "This audit is not to be trusted"


def verdict(card: Any) -> tuple[str, ...]:
    """The sentences of the verdict."""
    lines = [*_trust(card), _leak(card), *_isotropic(card), *_releases(card), *_linkage(card)]
    lines += _others(card)
    if card.information is not None:
        lines.append(card.information.words)
    return (*lines, _certificate(card), *_missing(card))


def passed_bounds(
    card: Any, max_leak: float | None, max_linkage: float | None, max_epsilon: float | None
) -> tuple[str, ...]:
    """The bounds that are passed, in words."""
    if max_leak is None and max_linkage is None and max_epsilon is None:
        return ()
    passed = [] if card.trusted else [f"{UNTRUSTED}, so that it keeps no bound."]
    if max_leak is not None:
        passed += _over([row for row in card.attacks if row.reconstructs], "leak", max_leak)
    if max_linkage is not None:
        passed += _over([row for row in card.attacks if _links(row)], "linkage", max_linkage)
    if max_linkage is not None and not any(_links(row) for row in card.attacks):
        passed.append(f"No linkage attack was run, so that the bound {max_linkage:g} is not shown.")
    if max_epsilon is not None:
        passed += [
            f"{one.releases} releases: {one.words} The bound is ε ≤ {max_epsilon:g}."
            for one in card.certificate
            if not one.certified or one.epsilon is None or one.epsilon > max_epsilon
        ]
        if not card.certificate:
            passed.append(f"There is no certificate; the bound is ε ≤ {max_epsilon:g}.")
    return tuple(passed)


def _over(rows: list[AttackRow], what: str, most: float) -> list[str]:
    """The strongest row of each K, and of the stored set, that passes the bound."""
    worst: dict[tuple[int, bool], AttackRow] = {}
    for row in sorted(rows, key=lambda row: row.score.high):
        if row.score.high > most:
            worst[row.releases, row.stored] = row
    return [f"{_named(row)}: {what} {row.score} passes {most:g}." for row in worst.values()]


def _links(row: AttackRow) -> bool:
    return not row.skipped and row.name.startswith(LINKAGE)


def _named(row: AttackRow) -> str:
    of = "1 release" if row.releases == 1 else f"{row.releases} releases"
    return f"{row.name} on {'the stored set' if row.stored else of}"


def _trust(card: Any) -> list[str]:
    failed = [control.words for control in card.controls if not control.passed]
    if failed:
        return [f"{UNTRUSTED}: {len(failed)} of its controls failed: {failed[0]}."]
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
        rows = [r for r in card.attacks if r.reconstructs and r.releases == count and not r.stored]
        if rows:
            best = max(row.figures["leak"].mean for row in rows)
            lines.append(f"With {count} releases of a record it is {_share(best)}.")
    return lines


def _linkage(card: Any) -> list[str]:
    lines = []
    for row in card.attacks:
        if _links(row) and row.releases == card.releases[0]:
            where = "a stored release" if row.stored else "a release"
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
    return f"{_named(row)}: {found}, above chance ({row.chance:.3f})."


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


def _missing(card: Any) -> list[str]:
    names = list(dict.fromkeys(row.name for row in card.attacks if row.skipped))
    if not names:
        return []
    return [f"Not run: {', '.join(names)}; the table says why."]


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"
