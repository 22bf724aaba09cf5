"""The same attacks on isotropic noise of known strength, and the curve of its leak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sfumato.privacy.audits.cell import Task, run_attack
from sfumato.privacy.audits.collect import Result, figure_of
from sfumato.privacy.audits.material import Material
from sfumato.privacy.audits.plan import AuditPlan
from sfumato.privacy.audits.rows import IsotropicPoint
from sfumato.privacy.audits.suite import Entry
from sfumato.privacy.control import (
    CURVE,
    LOUD,
    MUST_FIND,
    MUST_NOT_FIND,
    QUIET,
    TOLERANCE,
    ClosedForm,
    Control,
    judge,
    judge_share,
    loud_bound,
    spread_within,
)
from sfumato.privacy.statistics import Figure
from sfumato.train.cells import Cell

STRONGEST = "the strongest attack"


def control_cells(suite: Sequence[Entry], plan: AuditPlan, task: Task) -> list[Cell]:
    """A cell for each attack and scale of isotropic noise, with the first seed and one release."""
    if not plan.control:
        return []
    unit = spread_within(task.material.auxiliary)
    cells = []
    for entry in suite:
        for scale in _scales(entry):
            name = _name(entry.attack.name, scale)
            arguments: dict[str, Any] = {
                "task": task,
                "attack": entry.attack,
                "name": name,
                "releases": 1,
                "seed": plan.seeds[0],
                "sigma": scale * unit,
            }
            cells.append(Cell(name, run_attack, arguments))
    return cells


def controls_of(
    suite: Sequence[Entry],
    curve: Sequence[IsotropicPoint],
    material: Material,
    results: Mapping[str, Result],
) -> tuple[Control, ...]:
    """What each attack had to find or must not find, and whether the strongest is strong enough."""
    found = [
        control
        for entry in suite
        for scale in _scales(entry)
        if scale not in CURVE
        for control in _of(entry, results[_name(entry.attack.name, scale)], scale, material)
    ]
    known = [
        judge(STRONGEST, "known", point.sigma, point.leak, point.closed_form.mean - TOLERANCE)
        for point in curve
    ]
    return tuple(found + known)


def isotropic_curve(
    plan: AuditPlan, material: Material, results: Mapping[str, Result]
) -> tuple[IsotropicPoint, ...]:
    """The strongest leak at each scale in between, beside the closed form."""
    if not plan.control:
        return ()
    closed, points = ClosedForm(material.auxiliary, material.target), []
    for scale in CURVE:
        leaks = _leaks(results, scale)
        if leaks:
            sigma, best = max(leaks, key=lambda pair: pair[1].mean)
            points.append(IsotropicPoint(sigma, best, closed.leak(sigma)))
    return tuple(points)


def _scales(entry: Entry) -> tuple[float, ...]:
    """The scales of the noise that an attack is run on."""
    quiet = (QUIET,) if entry.reconstructs or entry.finds is not None else ()
    loud = (LOUD,) if entry.reconstructs or entry.fails else ()
    return (*quiet, *(CURVE if entry.reconstructs else ()), *loud)


def _of(entry: Entry, result: Result, scale: float, material: Material) -> list[Control]:
    content = result.content
    if "skipped" in content:
        return []
    kind = "quiet" if scale == QUIET else "loud"
    attack, sigma = content["attack"], content["sigma"]
    if content["reconstructs"]:
        bound = MUST_FIND if kind == "quiet" else MUST_NOT_FIND
        return [judge(attack, kind, sigma, figure_of([content["figures"]["leak"]]), bound)]
    if entry.reconstructs:  # an attack of the user's own, that finds something of its own kind
        return []
    name, chance = content["headline"], content["chance"]
    found, count = content["figures"][name][0], len(material.target)
    bound = loud_bound(chance, count) if kind == "loud" else entry.finds or 0.0
    return [judge_share(attack, kind, sigma, name, found, bound, count)]


def _leaks(results: Mapping[str, Result], scale: float) -> list[tuple[float, Figure]]:
    """(σ, leak) of every attack that reconstructs, at one scale."""
    ending = f"/{_word(scale)}"
    contents = [one.content for name, one in results.items()
                if name.startswith("control/") and name.endswith(ending)]  # fmt: skip
    return [
        (content["sigma"], figure_of([content["figures"]["leak"]]))
        for content in contents
        if content.get("reconstructs")
    ]


def _name(attack: str, scale: float) -> str:
    return f"control/{attack}/{_word(scale)}"


def _word(scale: float) -> str:
    return f"sigma-{scale:g}"
