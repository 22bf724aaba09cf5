"""From the results of an audit to its card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sfumato.errors import SettingError
from sfumato.files import json_checksum
from sfumato.privacy.attacks.scene import Scene
from sfumato.privacy.audits.bracket import information_of
from sfumato.privacy.audits.cell import Task
from sfumato.privacy.audits.certified import certificates
from sfumato.privacy.audits.checks import Check, bracket_checks, growth_checks, skipped_checks
from sfumato.privacy.audits.collect import Result, figure_of, rows_of, worst_records
from sfumato.privacy.audits.controls import Trial, controls_of, isotropic_curve, skipped_of
from sfumato.privacy.audits.job import Audit
from sfumato.privacy.audits.material import Material
from sfumato.privacy.audits.measured import class_means, worth
from sfumato.privacy.audits.rows import AttackRow, Baselines
from sfumato.privacy.audits.stated import served_of
from sfumato.privacy.audits.threats import limits, threat_model
from sfumato.privacy.card import PrivacyCard
from sfumato.privacy.statistics import Figure
from sfumato.train.run import provenance


def make_card(
    job: Audit,
    task: Task,
    results: dict[str, Result],
    trials: Sequence[Trial],
    laws: Sequence[Check],
) -> PrivacyCard:
    """The card.

    Raises:
        SettingError: no attack reconstructs anything.
    """
    material, plan = job.material, job.plan
    scene = task.scene(1, plan.seeds[0])
    rows = [row for place in ("fresh", "served", "stored")
            for row in rows_of(list(results.values()), scene, place)
           ]  # fmt: skip
    strongest = _strongest(rows, plan.releases[0])
    curve = isotropic_curve(trials, material, results)
    controls = controls_of(trials, curve, material, results) if plan.control else ()
    config = job.config()
    told = [one.content for name, one in results.items() if name.startswith("information/")]
    found = information_of(told)
    ran = {row.name for row in rows if not row.skipped}
    checks = [*laws, *skipped_checks(skipped_of(trials, results, ran))]
    checks += [*growth_checks(rows), *bracket_checks(found)]
    held = bool(controls) and all(one.passed for one in (*controls, *checks))
    return PrivacyCard(
        obfuscator=job.digest,
        leak=strongest.figures["leak"],
        strongest=_named(strongest),
        trusted=held,
        attacks=tuple(rows),
        certificate=certificates(job.mechanism, plan, scene.seen.shape[1:]),
        controls=controls,
        checks=tuple(checks),
        baselines=Baselines(curve, _label_only(task, scene)),
        information=found,
        limits=limits(job, rows, controls),
        threat_model=threat_model(job, served_of(job.mechanism) is not None),
        worst=worst_records(_first(results, plan.releases[0]), material),
        data=_data(material, material.fingerprint()),
        releases=plan.releases,
        seeds=plan.seeds,
        config=config,
        config_sha256=json_checksum(config),
        provenance=provenance(),
    )


def _strongest(rows: Sequence[AttackRow], least: int) -> AttackRow:
    """The row of the largest leak at the smallest K, of fresh, served or stored releases."""
    able = [row for row in rows if row.reconstructs and (row.releases == least or row.stored)]
    if not able:
        reasons = "; ".join(row.skipped for row in rows if row.skipped) or "none of them does"
        raise SettingError(f"no attack reconstructs records, so that there is no leak: {reasons}")
    return max(able, key=lambda row: row.figures["leak"].mean)


def _named(row: AttackRow) -> str:
    if row.served:
        return f"{row.name} on served records"
    return row.name + (" on the stored set" if row.stored else "")


def _first(results: dict[str, Result], least: int) -> list[Result]:
    """The reconstructions among which the worst records are looked for."""
    return [
        one
        for name, one in results.items()
        if not name.startswith("control/")
        and one.content.get("reconstructs")
        and (one.content["releases"] == least or one.content["place"] == "stored")
    ]


def _label_only(task: Task, scene: Scene) -> dict[str, Figure]:
    """The likeness of the class mean to the records: what the label alone gives."""
    found = worth(scene, class_means(scene)[scene.target.labels], task.judge)
    return {name: figure_of([one]) for name, one in found.figures.items()}


def _data(material: Material, fingerprint: str) -> dict[str, Any]:
    return {
        "name": material.target.name,
        "auxiliary": len(material.auxiliary),
        "target": len(material.target),
        "shape": list(material.target.shape),
        "classes": list(material.target.classes),
        "split": material.split,
        "stored": material.stored is not None,
        "fingerprint": fingerprint,
    }
