"""Running an audit: cells that resume, then the card."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

from sfumato.errors import SettingError, StoreError
from sfumato.files import json_checksum, prepare_folder, read_json, write_json
from sfumato.privacy.audits.bracket import information_cells
from sfumato.privacy.audits.cell import Place, Task, is_whole, run_attack
from sfumato.privacy.audits.collect import Result
from sfumato.privacy.audits.controls import control_cells, trials_of
from sfumato.privacy.audits.job import Audit
from sfumato.privacy.audits.judge import judge_of
from sfumato.privacy.audits.making import make_card
from sfumato.privacy.audits.stated import law_checks, served_of
from sfumato.privacy.audits.suite import Entry
from sfumato.privacy.audits.threads import bearable_threads
from sfumato.privacy.card import PrivacyCard
from sfumato.train.cells import Cell, run_cells
from sfumato.train.loop import Progress

HEAD = "audit.json"


def run_audit(job: Audit, folder: Path, workers: int, progress: Progress) -> PrivacyCard:
    """Fill the cells that are missing in `folder`, and make the card.

    Where several threads would stall, it is done in one (`bearable_threads`).

    Raises:
        SettingError: the folder holds another audit, or no attack reconstructs anything.
    """
    with bearable_threads(math.prod(job.material.target.shape)) as look_again:
        return _run(job, prepare_folder(folder), workers, progress, look_again)


def _run(
    job: Audit, folder: Path, workers: int, progress: Progress, look_again: Callable[[], None]
) -> PrivacyCard:
    head = {"obfuscator": job.digest, "data": job.material.fingerprint(), **job.config()}
    _check_same(folder, head)
    key = json_checksum(head)
    laws = law_checks(job.mechanism, job.material.auxiliary, job.plan.seeds[0])
    judge = judge_of(job.material.auxiliary, job.model, folder, key)
    task = Task(job.mechanism, job.material, job.model, judge, folder, key)
    trials = trials_of(job.suite, job.plan)
    cells = [*_cells(job, task), *control_cells(trials, job.plan, task)]
    if job.bracket:
        cells += information_cells(job.plan, task)
    for cell in cells:
        if not is_whole(folder, cell.name, key):
            cell.path(folder).unlink(missing_ok=True)
    done: list[str] = []

    def on_done(name: str, content: Any) -> None:
        done.append(name)
        progress({"cell": name, "epoch": len(done), "epochs": len(cells), **_shown(content)})
        look_again()

    table = run_cells(cells, folder, workers=workers, on_done=on_done)
    results = {name: Result(content, folder / f"{name}.safetensors") for name, content in
               table.items()}  # fmt: skip
    return make_card(job, task, results, trials, laws)


def _cells(job: Audit, task: Task) -> Iterator[Cell]:
    """One cell for each attack, K and seed, and one for each attack on the stored set and seed."""
    serves = served_of(job.mechanism) is not None
    for entry in job.suite:
        name = entry.attack.name
        counts = job.plan.releases if entry.averages else job.plan.releases[:1]
        for count, seed in product(counts, job.plan.seeds):
            ending = f"{name}/releases-{count}/seed-{seed}"
            yield _cell(task, entry, f"layer/{ending}", count, seed)
            if entry.served and serves:
                yield _cell(task, entry, f"served/{ending}", count, seed, "served")
        if job.material.stored is not None and entry.stored:
            for seed in job.plan.seeds:
                yield _cell(task, entry, f"stored/{name}/seed-{seed}", 1, seed, "stored")


def _cell(
    task: Task, entry: Entry, name: str, releases: int, seed: int, place: Place = "fresh"
) -> Cell:
    arguments = {
        "task": task,
        "attack": entry.attack,
        "name": name,
        "releases": releases,
        "seed": seed,
        "place": place,
    }
    return Cell(name, run_attack, arguments)


def _shown(content: dict[str, Any]) -> dict[str, float]:
    if "skipped" in content:
        return {}
    if "headline" not in content:
        return {"nats": content["lower"][0]}
    return {content["headline"]: content["figures"][content["headline"]][0]}


def _check_same(folder: Path, head: dict[str, Any]) -> None:
    """Write down what the folder holds, or raise where it holds something else."""
    path, head = folder / HEAD, json.loads(json.dumps(head))
    try:
        found = read_json(path)
    except StoreError:  # not there or damaged: cells of another audit have another key
        write_json(path, head)
        return
    if found != head:
        other = [key for key in head if not isinstance(found, dict) or found.get(key) != head[key]]
        raise SettingError(
            f"{folder} holds another audit ({', '.join(other)} differ): choose another folder, or "
            "delete it"
        )
