"""Re-identification with wrong identity labels: spec 4, table 4, table A.1 and figure 3b."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experiments.reidentification.cells import Task, trained, wrong_labels
from experiments.reidentification.page import draw, render
from experiments.reidentification.paper import MEASURES
from experiments.resume import same_setup
from sfumato.obfuscation.figures import figure
from sfumato.train import Cell, provenance, run_cells

__all__ = ["draw", "render", "run"]

_SPREAD = ("log_scale_wrong", "log_scale_right", "auc_spread")


def run(config: dict[str, Any], source: str, out: Path, workers: int) -> tuple[dict[str, Any], str]:
    """Train every method at every share of wrong labels; the results and a Markdown table."""
    task = Task(config, source, out)
    growing = ("methods", "seeds", "title", "notes")
    shared = {key: value for key, value in config.items() if key not in growing}
    same_setup(out, {**shared, "market": task.real})
    found: dict[str, Any] = {}
    for seed in config["seeds"]:
        for cells in _of_seed(task, seed):
            found |= run_cells(cells, out / "cells", workers=workers, on_done=_told)
    sizes = found[f"wrong/seed-{config['seeds'][0]}"]
    results = {
        "schema": "sfumato.reidentification/1",
        "data": {
            "name": config["data"],
            "market": task.real,
            "train": sizes["pictures"],
            "identities": sizes["identities"],
        },
        "seeds": config["seeds"],
        "config": config,
        "rows": [_row(task, found, m, p) for p in config["rates"] for m in config["methods"]],
        "provenance": provenance(),
    }
    return results, render(results)


def _of_seed(task: Task, seed: int) -> list[list[Cell]]:
    """The cells of a seed in groups: a later one goes on from networks of those before it.

    The methods of a share of wrong labels begin with one first stage. The baseline trains it, so
    that no two processes write the same checkpoint.
    """
    config = task.config

    def cell(method: str, rate: float) -> Cell:
        arguments = {"task": task, "method": method, "rate": rate, "seed": seed}
        return Cell(_name(method, rate, seed), trained, arguments)

    methods = [method for method in config["methods"] if method != "parallel"]
    return [
        [Cell(f"wrong/seed-{seed}", wrong_labels, {"task": task, "seed": seed})],
        [cell("parallel", rate) for rate in config["rates"]],
        [cell(method, rate) for method in methods for rate in config["rates"]],
    ]


def _name(method: str, rate: float, seed: int) -> str:
    return f"{method}/p-{rate:g}/seed-{seed}"


def _told(name: str, row: dict[str, Any]) -> None:
    measured = row.get("mean_average_precision")
    print(f"{name}: " + ("made" if measured is None else f"mAP {100 * measured:.2f} %"), flush=True)


def _row(task: Task, found: dict[str, Any], method: str, rate: float) -> dict[str, Any]:
    """The figures of a method over the seeds, and its mAP less the baseline's, seed by seed."""
    seeds = task.config["seeds"]
    own = [found[_name(method, rate, seed)] for seed in seeds]
    base = [found[_name("parallel", rate, seed)] for seed in seeds]
    key = "mean_average_precision"
    gaps = [one[key] - other[key] for one, other in zip(own, base, strict=True)]
    measured = [*MEASURES, *(name for name in _SPREAD if name in own[0])]
    return {
        "method": method,
        "rate": rate,
        **{name: figure(one[name] for one in own) for name in measured},
        "gap": {**figure(gaps), "above": sum(gap > 0 for gap in gaps)},
    }
