"""Accuracy under wrong labels, method by method (spec 4 §4.3, figure 3a, appendix B)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiments.label_noise.cells import trained
from experiments.label_noise.drawing import draw
from experiments.label_noise.figures import collect, over_seeds
from experiments.label_noise.page import render
from experiments.label_noise.points import Point, points_of
from experiments.label_noise.pruning import from_scratch, pruned, shape_of
from experiments.label_noise.setup import Setup, setup_of
from experiments.label_noise.words import pruned_verdict, verdict
from experiments.resume import same_setup
from sfumato.train import Cell, provenance, run_cells

__all__ = ["cells_of", "draw", "render", "run"]


def run(config: dict[str, Any], source: str, out: Path, workers: int) -> tuple[dict[str, Any], str]:
    """Fill the missing cells of `config` on the data at `source`: results and a Markdown table."""
    # Methods, curves and seeds may grow.
    keys = ("data", "train_records", "test_records", "setup")
    same_setup(out, {key: config.get(key) for key in keys}, _parts(config))
    setup, seeds = setup_of(config, source), config["seeds"]
    found = run_cells(
        cells_of(config, setup),
        out / "cells",
        workers=workers,
        on_done=lambda name, row: print(f"{name}: {100 * row['accuracy']:.2f} %", flush=True),
    )
    small = _pruned_rows(config, setup, found)
    collected = collect(config, lambda point, seed: found[_name(point, seed)])
    results = {
        "schema": "sfumato.label-noise/1",
        "data": {
            "name": config["data"],
            "train": len(setup.train[1]),
            "test": len(setup.test[1]),
            "shape": "-".join(map(str, _dense(setup))),
        },
        "seeds": seeds,
        "config": config,
        "recipe": asdict(setup.recipe),
        "verdict": [
            *verdict(collected["rows"], seeds),
            *(pruned_verdict(small["rows"], small["rate"]) if small else []),
        ],
        **collected,
        "pruned": small,
        "provenance": provenance(),
    }
    return results, render(results)


def cells_of(config: dict[str, Any], setup: Setup) -> list[Cell]:
    """All cells: those that are asked for first, then seed by seed, the main methods before."""
    points, seeds = list(dict.fromkeys(points_of(config))), config["seeds"]
    first = config.get("first", {"rates": [], "seeds": []})
    early = [
        (point, seed)
        for seed in seeds
        for point in points
        if point.noise == "patterned" and point.rate in first["rates"] and seed in first["seeds"]
    ]
    pairs = dict.fromkeys([*early, *((point, seed) for seed in seeds for point in points)])
    cells = [
        Cell(_name(point, seed), trained, {"setup": setup, "point": point, "seed": seed})
        for point, seed in pairs
    ]
    return [*cells, *_pruned_cells(config, setup)]


def _name(point: Point, seed: int) -> str:
    return f"{point.name}/seed-{seed}"


def _pruned_cells(config: dict[str, Any], setup: Setup) -> Iterator[Cell]:
    wanted = config.get("pruned")
    if not wanted:
        return
    for seed in config["seeds"]:
        for entry in wanted["rows"]:
            function = {"pruned": pruned, "scratch": from_scratch}.get(entry["kind"], trained)
            arguments: dict[str, Any] = {
                "setup": setup,
                "point": Point("patterned", wanted["rate"], entry["method"]),
                "seed": seed,
            }
            if function is not trained:
                arguments["shape"] = shape_of(entry["shape"])
            yield Cell(_pruned_name(entry, seed), function, arguments)


def _parts(config: dict[str, Any]) -> dict[str, Any]:
    """What is known in the folder by its label alone."""
    wanted = config.get("pruned") or {"rows": []}
    return {f"row {one['label']}": {**one, "rate": wanted["rate"]} for one in wanted["rows"]}


def _pruned_name(entry: dict[str, Any], seed: int) -> str:
    return f"{entry['label'].replace(' ', '-').replace('/', '-')}/seed-{seed}"


def _pruned_rows(
    config: dict[str, Any], setup: Setup, found: dict[str, Any]
) -> dict[str, Any] | None:
    """The networks of appendix B.2, the whole ones among them."""
    wanted, rows = config.get("pruned"), []
    if not wanted:
        return None
    for entry in wanted["rows"]:
        some = [found[_pruned_name(entry, seed)] for seed in config["seeds"]]
        sizes = some[0].get("shape") or _dense(setup)
        weights = sum((a + 1) * b for a, b in itertools.pairwise(sizes))
        flops = sum(a * b for a, b in itertools.pairwise(sizes))
        keys = ("accuracy", "calibration_error", "auc_loss")
        measured = {key: over_seeds(one[key] for one in some) for key in keys}
        rows.append(
            {
                "label": entry["label"],
                "kind": entry["kind"],
                "paper": entry.get("paper"),
                "shape": "-".join(map(str, sizes)),
                "parameters": weights,
                "multiplications": flops,
                **{key: value for key, value in measured.items() if value is not None},
                "accuracies": [one["accuracy"] for one in some],
            }
        )
    return {"rate": wanted["rate"], "rows": rows}


def _dense(setup: Setup) -> list[int]:
    size = 1
    for side in setup.shape:
        size *= side
    return [size, *setup.widths, len(setup.classes)]
