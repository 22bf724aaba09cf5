"""Selectors at equal budgets, with a predictor trained for each, scored on what was not bought."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from experiments.pixels.cells import Point, Task, cells_of
from experiments.pixels.drawing import draw
from experiments.pixels.figures import collect
from experiments.pixels.page import render
from experiments.pixels.rows import Row, rows_of
from experiments.pixels.words import verdict
from experiments.resume import same_setup
from sfumato.train import provenance, run_cells

__all__ = ["draw", "points_of", "render", "run"]

SETUP = ("data", "size", "limits", "recipe", "shapes")


def run(config: dict[str, Any], source: str, out: Path, workers: int) -> tuple[dict[str, Any], str]:
    """Fill the missing cells of `config` on the data at `source`: results and a Markdown table."""
    # Rows, budgets and seeds may grow.
    rows = rows_of(config)
    made_of = {f"row {row.name}": asdict(replace(row, compare=(), budgets=())) for row in rows}
    same_setup(out, {key: config.get(key) for key in SETUP}, made_of)
    task = task_of(config, source, out)
    scenes = task.scenes()
    found = run_cells(
        cells_of(task, points_of(config, rows), scenes),
        out / "cells",
        workers=workers,
        on_done=_told,
    )
    train, test = scenes
    collected = collect(rows, config, found, train.task.higher_is_better)
    results = {
        "schema": "sfumato.pixels-table/1",
        "data": {
            "name": config["data"],
            "train": len(train),
            "test": len(test),
            "size": list(train.size),
            "pixels": train.pixels,
        },
        "seeds": config["seeds"],
        "config": config,
        "rows": collected,
        "descriptions": {row.name: asdict(row) for row in rows},
        "provenance": provenance(),
    }
    results["verdict"] = verdict(results)
    return results, render(results)


def task_of(config: dict[str, Any], source: str, out: Path) -> Task:
    """What all cells of a configuration share."""
    size = config.get("size")
    train, test = config.get("limits", (None, None))
    size = None if size is None else (size[0], size[1])
    recipe, shapes = config.get("recipe", {}), config.get("shapes", False)
    return Task(source, size, (train, test), recipe, out, shapes)


def points_of(config: dict[str, Any], rows: list[Row]) -> list[Point]:
    """All points, seed after seed, so that a table that is cut short has whole columns."""
    return [
        Point(row, k, seed)
        for seed in config["seeds"]
        for k in config["budgets"]
        for row in rows
        if not row.budgets or k in row.budgets
    ]


def _told(name: str, cell: dict[str, Any]) -> None:
    found = cell["evaluation"]
    figures = ", ".join(f"{key} {value:.4f}" for key, value in found["figures"].items())
    print(f"{name}: {figures} ({cell['seconds']:.0f} s)", flush=True)
