"""What is asked of ours, and whether a row of figures has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sfumato.bench.case import Case
from sfumato.bench.timing import Timing


def verdicts(
    case: Case,
    timed: Mapping[str, Timing],
    saved: Mapping[str, float | None],
    *,
    judged: bool = True,
) -> list[dict[str, Any]]:
    """For each of ours that is asked about: what is asked, how much it is, whether that fits.

    Asked are what the case's `reach` says and, where peers took part, not to be slower than the
    quickest of them. Values are judged as the table shows them: two digits for times, one for MiB.
    What was not measured, or not at the sizes meant (`judged`), is neither reached nor missed: its
    `reached` is None.
    """
    limits = _limits(case, timed)
    found: list[dict[str, Any]] = []
    for name in (c.name for c in case.candidates if c.role == "ours" and c.asked):
        for of, limit in limits.items():
            both = name in timed and of in timed
            ratio = timed[name].ratio(timed[of]) if both else None
            found.append(_judged(name, "time", of, ratio, limit, 2))
        if case.reach is not None and case.reach.saved_mib is not None:
            found.append(_judged(name, "saved", None, saved.get(name), case.reach.saved_mib, 1))
    return found if judged else [{**verdict, "reached": None} for verdict in found]


def _limits(case: Case, timed: Mapping[str, Timing]) -> dict[str, float]:
    """The largest ratio that is asked to each candidate."""
    baseline = case.candidates[0].name
    limits: dict[str, float] = {}
    if case.reach is not None and case.reach.ratio is not None:
        limits[case.reach.of or baseline] = case.reach.ratio
    peers = [c.name for c in case.candidates if c.role == "peer" and c.name in timed]
    if peers:
        limits[min(peers, key=lambda name: timed[name].ratio(timed[baseline]))] = 1.0
    return limits


def _judged(
    name: str, what: str, of: str | None, value: float | None, limit: float, digits: int
) -> dict[str, Any]:
    return {
        "candidate": name,
        "what": what,
        "of": of,
        "value": value,
        "limit": limit,
        "reached": None if value is None else round(value, digits) <= limit,
    }


def in_words(verdict: Mapping[str, Any]) -> str:
    """One verdict: "reached", "missed by 5 %", "not measured", "not judged"."""
    if verdict["reached"] is None:
        return "not measured" if verdict["value"] is None else "not judged"
    if verdict["reached"]:
        return "reached"
    return f"missed by {100 * (verdict['value'] / verdict['limit'] - 1):.2g} %"
