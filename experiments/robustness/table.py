"""Accuracy under attack of every defence, and certificates, in one run (spec 4 §4.2, B.1)."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiments.resume import same_setup
from experiments.robustness.cells import measured, undefended
from experiments.robustness.drawing import draw
from experiments.robustness.figures import collect
from experiments.robustness.page import render
from experiments.robustness.points import Point, in_order
from experiments.robustness.setup import Setup, setup_of
from experiments.robustness.words import verdict
from sfumato.train import Cell, provenance, run_cells

__all__ = ["cells_of", "draw", "render", "run"]


def run(config: dict[str, Any], source: str, out: Path, workers: int) -> tuple[dict[str, Any], str]:
    """Fill the missing cells of `config` on the data at `source`: results and a Markdown table."""
    # Rows and seeds may grow.
    keys = ("data", "train_records", "test_records", "setup", "measures")
    same_setup(out, {key: config.get(key) for key in keys})
    setup = setup_of(config, source, out)
    found: dict[str, Any] = {}
    for seed, points in in_order(config):
        for cells in cells_of(setup, points, seed):  # the first part trains what the others read
            found |= run_cells(
                cells,
                out / "cells",
                workers=workers,
                on_done=lambda name, _: print(f"done: {name}", flush=True),
            )
    rows = collect(config, lambda point, seed: found[_name(point, seed)])
    results = {
        "schema": "sfumato.robustness-table/1",
        "data": {
            "name": config["data"],
            "train": len(setup.train[1]),
            "test": len(setup.test[1]),
        },
        "seeds": config["seeds"],
        "config": config,
        "recipe": asdict(setup.recipe),
        "verdict": verdict(rows, config),
        "rows": rows,
        "provenance": provenance(),
    }
    return results, render(results)


def cells_of(setup: Setup, points: list[Point], seed: int) -> tuple[list[Cell], list[Cell]]:
    """The cells of one seed: the network that examples are transferred from, then all points."""
    first = [Cell(f"undefended/seed-{seed}", undefended, {"setup": setup, "seed": seed})]
    rest = [
        Cell(_name(point, seed), measured, {"setup": setup, "point": point, "seed": seed})
        for point in points
    ]
    return (first if "suite" in setup.measures else []), rest


def _name(point: Point, seed: int) -> str:
    return f"{point.name}/seed-{seed}"
