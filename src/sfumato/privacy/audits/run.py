"""Running an audit: cells that resume, then the card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from torch import nn

from sfumato.errors import SettingError
from sfumato.files import prepare_folder, read_json, write_json
from sfumato.privacy.attacks.scene import Scene
from sfumato.privacy.audits.bracket import information_cells, information_of
from sfumato.privacy.audits.cell import Task, run_attack
from sfumato.privacy.audits.certified import certificates
from sfumato.privacy.audits.collect import (
    Result,
    attack_rows,
    best_rows,
    figure_of,
    worst_records,
)
from sfumato.privacy.audits.controls import control_cells, controls_of, isotropic_curve
from sfumato.privacy.audits.judge import judge_of
from sfumato.privacy.audits.material import Material
from sfumato.privacy.audits.measured import class_means, worth
from sfumato.privacy.audits.plan import AuditPlan
from sfumato.privacy.audits.rows import AttackRow, Baselines
from sfumato.privacy.audits.suite import Entry, described
from sfumato.privacy.audits.threats import threat_model
from sfumato.privacy.card import PrivacyCard
from sfumato.privacy.knowledge import Mechanism
from sfumato.privacy.statistics import Figure
from sfumato.train.cells import Cell, run_cells
from sfumato.train.loop import Progress
from sfumato.train.run import provenance

HEAD = "audit.json"


@final
@dataclass(frozen=True)
class Audit:
    """Everything that is asked for, except the folder.

    Args:
        mechanism: the audited one.
        material: the records.
        model: what the releases feed, or None.
        plan: the settings.
        suite: the attacks.
        digest: of the mechanism.
        bracket: whether mutual information is bracketed too.
    """

    mechanism: Mechanism
    material: Material
    model: nn.Module | None
    plan: AuditPlan
    suite: tuple[Entry, ...]
    digest: str
    bracket: bool

    def config(self) -> dict[str, Any]:
        """The settings, as JSON values."""
        return {
            **self.plan.to_json(),
            "attacks": [described(entry.attack) for entry in self.suite],
            "model": self.model is not None,
            "stored": self.material.stored is not None,
            "information": self.bracket,
        }


def run_audit(job: Audit, folder: Path, workers: int, progress: Progress) -> PrivacyCard:
    """Fill the cells that are missing in `folder`, and make the card.

    Raises:
        SettingError: the folder holds another audit, or no attack reconstructs anything.
    """
    folder = prepare_folder(folder)
    fingerprint = job.material.fingerprint()
    _check_same(folder, {"obfuscator": job.digest, "data": fingerprint, **job.config()})
    judge = judge_of(job.material.auxiliary, job.model, folder)
    task = Task(job.mechanism, job.material, job.model, judge, folder)
    cells = [*_cells(job, task), *control_cells(job.suite, job.plan, task)]
    if job.bracket:
        cells += information_cells(job.plan, task)
    done: list[str] = []

    def on_done(name: str, content: Any) -> None:
        done.append(name)
        progress({"cell": name, "epoch": len(done), "epochs": len(cells), **_shown(content)})

    table = run_cells(cells, folder, workers=workers, on_done=on_done)
    results = {name: Result(content, folder / f"{name}.safetensors") for name, content in
               table.items()}  # fmt: skip
    return _card(job, task, results, fingerprint)


def _cells(job: Audit, task: Task) -> Iterator[Cell]:
    """One cell for each attack, K and seed, and one for each attack on the stored set and seed."""
    for entry in job.suite:
        counts = job.plan.releases if entry.averages else job.plan.releases[:1]
        for count in counts:
            for seed in job.plan.seeds:
                name = f"layer/{entry.attack.name}/releases-{count}/seed-{seed}"
                yield _cell(task, entry, name, count, seed)
        if job.material.stored is not None and entry.stored:
            for seed in job.plan.seeds:
                yield _cell(task, entry, f"stored/{entry.attack.name}/seed-{seed}", 1, seed, True)


def _cell(
    task: Task, entry: Entry, name: str, releases: int, seed: int, stored: bool = False
) -> Cell:
    arguments = {
        "task": task,
        "attack": entry.attack,
        "name": name,
        "releases": releases,
        "seed": seed,
        "stored": stored,
    }
    return Cell(name, run_attack, arguments)


def _shown(content: dict[str, Any]) -> dict[str, float]:
    if "skipped" in content:
        return {}
    if "headline" not in content:
        return {"nats": content["lower"][0]}
    return {content["headline"]: content["figures"][content["headline"]][0]}


def _card(job: Audit, task: Task, results: dict[str, Result], fingerprint: str) -> PrivacyCard:
    material, plan = job.material, job.plan
    scene = task.scene(1, plan.seeds[0], None, False)
    rows, first = _rows(plan, scene, results)
    reconstructing = [row for row in rows if row.reconstructs]
    if not reconstructing:
        reasons = "; ".join(row.skipped for row in rows if row.skipped) or "none of them does"
        raise SettingError(f"no attack reconstructs records, so that there is no leak: {reasons}")
    strongest = max(
        (row for row in reconstructing if row.releases == plan.releases[0] or row.stored),
        key=lambda row: row.figures["leak"].mean,
    )
    curve = isotropic_curve(plan, material, results)
    controls = controls_of(job.suite, curve, material, results) if plan.control else ()
    config = job.config()
    told = [one.content for name, one in results.items() if name.startswith("information/")]
    return PrivacyCard(
        obfuscator=job.digest,
        leak=strongest.figures["leak"],
        strongest=strongest.name + (" on the stored set" if strongest.stored else ""),
        trusted=bool(controls) and all(control.passed for control in controls),
        attacks=tuple(rows),
        certificate=certificates(job.mechanism, plan, scene.seen.shape[1:]),
        controls=controls,
        baselines=Baselines(curve, _label_only(task)),
        information=information_of(told),
        threat_model=threat_model(plan, material, job.model is not None),
        worst=worst_records(first, material),
        data=_data(material, fingerprint),
        releases=plan.releases,
        seeds=plan.seeds,
        config=config,
        config_sha256=_sha256(config),
        provenance=provenance(),
    )


def _rows(
    plan: AuditPlan, scene: Scene, results: dict[str, Result]
) -> tuple[list[AttackRow], list[Result]]:
    """All rows, and the results from which the worst records are taken."""
    layer = [one for name, one in results.items() if name.startswith("layer/")]
    stored = [one for name, one in results.items() if name.startswith("stored/")]
    rows = attack_rows(layer, stored=False) + best_rows(layer, scene, stored=False)
    rows += attack_rows(stored, stored=True) + best_rows(stored, scene, stored=True)
    least = [one for one in layer if one.content["releases"] == plan.releases[0]]
    return rows, [one for one in (*least, *stored) if one.content.get("reconstructs")]


def _label_only(task: Task) -> dict[str, Figure]:
    """The likeness of the class mean to the records: what the label alone gives."""
    known, target = task.material.auxiliary, task.material.target
    scene = Scene(task.mechanism, known, target, target.inputs)
    found = worth(scene, class_means(scene)[target.labels], task.judge)
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


def _check_same(folder: Path, head: dict[str, Any]) -> None:
    """Write down what the folder holds, or raise where it holds something else."""
    path = folder / HEAD
    if not path.exists():
        write_json(path, head)
        return
    found = read_json(path)
    if found != json.loads(json.dumps(head)):
        other = [key for key in head if not isinstance(found, dict) or found.get(key) != head[key]]
        raise SettingError(
            f"{folder} holds another audit ({', '.join(other)} differ): choose another folder, or "
            "delete it"
        )


def _sha256(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
