"""The same attacks where the answer is known, and the curve of the leak of isotropic noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from sfumato.privacy.attacks.attribute import AttributeAttack, balance, brightness
from sfumato.privacy.attacks.base import Attack
from sfumato.privacy.audits.cell import Task, run_attack
from sfumato.privacy.audits.collect import Result, figure_of
from sfumato.privacy.audits.material import Material
from sfumato.privacy.audits.plan import AuditPlan
from sfumato.privacy.audits.planted import best_binary_leak
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
    Kind,
    judge,
    judge_share,
    loud_bound,
    spread_within,
)
from sfumato.privacy.statistics import Figure
from sfumato.train.cells import Cell

STRONGEST = "the strongest attack"
MANY = CURVE[1]
"""Of noise that K releases average to this scale."""


@final
@dataclass(frozen=True)
class Trial:
    """One control of one attack: what kind, the scale in units of the spread, how many releases."""

    entry: Entry
    kind: Kind
    scale: float
    releases: int = 1

    @property
    def name(self) -> str:
        """Of its cell."""
        many = "" if self.releases == 1 else f"/releases-{self.releases}"
        planted = "" if self.kind in ("quiet", "known", "loud") else f"/{self.kind}"
        return f"control/{self.entry.attack.name}{planted}{many}/sigma-{self.scale:g}"

    @property
    def attack(self) -> Attack:
        """The attack; one that reads an attribute of the user's own reads brightness instead.

        It may be that nobody can read the user's own from the record itself.
        """
        attack = self.entry.attack
        if not isinstance(attack, AttributeAttack) or self.kind != "quiet":
            return attack
        if attack.attribute is brightness or attack.attribute is balance:
            return attack
        return AttributeAttack(brightness, title=attack.title, settings=attack.settings)


def trials_of(suite: Sequence[Entry], plan: AuditPlan) -> list[Trial]:
    """Every control of every attack."""
    if not plan.control:
        return []
    return [trial for entry in suite for trial in _trials(entry, plan.releases[-1])]


def control_cells(trials: Sequence[Trial], plan: AuditPlan, task: Task) -> list[Cell]:
    """A cell for each control, with the first seed."""
    if not trials:
        return []
    unit = spread_within(task.material.auxiliary)
    cells = []
    for trial in trials:
        arguments: dict[str, Any] = {
            "task": task,
            "attack": trial.attack,
            "name": trial.name,
            "releases": trial.releases,
            "seed": plan.seeds[0],
            "control": (trial.kind, trial.scale * unit),
        }
        cells.append(Cell(trial.name, run_attack, arguments))
    return cells


def controls_of(
    trials: Sequence[Trial],
    curve: Sequence[IsotropicPoint],
    material: Material,
    results: Mapping[str, Result],
) -> tuple[Control, ...]:
    """What each attack had to find or must not find, and whether the strongest is strong enough."""
    found = [
        control
        for trial in trials
        if trial.kind != "known"
        for control in _of(trial, results[trial.name].content, material)
    ]
    known = [
        judge(STRONGEST, "known", point.sigma, point.leak, point.closed_form.mean - TOLERANCE)
        for point in curve
    ]
    return tuple(found + known + _many(trials, material, results))


def isotropic_curve(
    trials: Sequence[Trial], material: Material, results: Mapping[str, Result]
) -> tuple[IsotropicPoint, ...]:
    """The strongest leak at each scale in between, beside the closed form."""
    if not trials:
        return ()
    closed, points = ClosedForm(material.auxiliary, material.target), []
    for scale in CURVE:
        own = [one for one in trials if (one.kind, one.releases, one.scale) == ("known", 1, scale)]
        leaks = _leaks(own, results)
        if leaks:
            sigma, best = max(leaks, key=lambda pair: pair[1].mean)
            points.append(IsotropicPoint(sigma, best, closed.leak(sigma)))
    return tuple(points)


def skipped_of(
    trials: Sequence[Trial], results: Mapping[str, Result], ran: set[str]
) -> list[tuple[str, str]]:
    """Of attacks that `ran`: those whose control did not, and why."""
    skipped = []
    for trial in trials:
        content = results[trial.name].content
        if "skipped" in content and trial.entry.attack.name in ran:
            skipped.append((trial.entry.attack.name, content["skipped"]))
    return skipped


def _trials(entry: Entry, most: int) -> list[Trial]:
    trials = []
    if entry.reconstructs or entry.finds is not None:
        trials.append(Trial(entry, "quiet", QUIET))
    if entry.reconstructs:
        trials += [Trial(entry, "known", scale) for scale in CURVE]
    if entry.reconstructs or entry.fails:
        trials.append(Trial(entry, "loud", LOUD))
    if entry.averages and most > 1:  # noise that averages to a known scale
        if entry.reconstructs:
            trials.append(Trial(entry, "known", MANY * math.sqrt(most), most))
        elif entry.finds is not None:
            trials.append(Trial(entry, "quiet", QUIET * math.sqrt(most), most))
    if entry.planted is not None:
        trials.append(Trial(entry, entry.planted, 1.0))
    return trials


def _of(trial: Trial, content: Mapping[str, Any], material: Material) -> list[Control]:
    if "skipped" in content:
        return []
    attack, sigma = content["attack"], content["sigma"]
    kind, entry, count = trial.kind, trial.entry, len(material.target)
    if content["reconstructs"]:
        leak = figure_of([content["figures"]["leak"]])
        return [judge(attack, kind, sigma, leak, _bound(kind, material), trial.releases)]
    if entry.reconstructs:  # an attack of the user's own, that finds something of its own kind
        return []
    name, chance = content["headline"], content["chance"]
    found = content["figures"][name][0]
    bound = {
        "loud": loud_bound(chance, count),
        "shifted": chance + 0.5 * (1 - chance),
        "scaled": 0.9,
    }.get(kind, entry.finds or 0.0)
    return [judge_share(attack, kind, sigma, name, found, bound, count, trial.releases)]


def _bound(kind: Kind, material: Material) -> float:
    """Of a leak."""
    if kind == "binary":
        return best_binary_leak(math.prod(material.target.shape)) / 2
    return MUST_NOT_FIND if kind == "loud" else MUST_FIND


def _many(
    trials: Sequence[Trial], material: Material, results: Mapping[str, Result]
) -> list[Control]:
    """The strongest attack on averages of the most releases, beside the closed form."""
    own = [trial for trial in trials if trial.kind == "known" and trial.releases > 1]
    leaks = _leaks(own, results)
    if not leaks:
        return []
    sigma, best = max(leaks, key=lambda pair: pair[1].mean)
    count = own[0].releases
    closed = ClosedForm(material.auxiliary, material.target).leak(sigma / math.sqrt(count))
    return [judge(STRONGEST, "known", sigma, best, closed.mean - TOLERANCE, count)]


def _leaks(trials: Sequence[Trial], results: Mapping[str, Result]) -> list[tuple[float, Figure]]:
    """(σ, leak) of those of `trials` that reconstruct."""
    contents = [results[trial.name].content for trial in trials]
    return [
        (content["sigma"], figure_of([content["figures"]["leak"]]))
        for content in contents
        if content.get("reconstructs")
    ]
