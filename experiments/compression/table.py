"""Smaller networks by every method at every budget, in one run (spec 4 §4.1, App. B.1)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.compression import cells
from experiments.compression.finishing import scratch
from experiments.compression.page import collect, draw, render
from experiments.compression.setup import Setup, setup_of, slug
from experiments.compression.unpruned import unpruned
from experiments.resume import same_setup
from sfumato.compression import count
from sfumato.files import atomic
from sfumato.train import Cell, provenance, run_cells

__all__ = ["draw", "render", "run"]

Done = dict[str, Any]


def run(config: dict[str, Any], source: str, out: Path, workers: int) -> tuple[dict[str, Any], str]:
    """Fill the missing cells of `config` on the data at `source`: results and a Markdown table.

    After every seed the table so far is written into the run's folder, `so-far.md`.
    """
    # Settings, methods and seeds may grow.
    keys = ("data", "train_records", "test_records", "setup", "budgets")
    same_setup(out, {key: config.get(key) for key in keys}, _parts(config))
    setup = setup_of(config, source, out)
    done: dict[tuple[str, int], Done] = {}
    results: dict[str, Any] = {}
    for setting in config["settings"]:
        for seed in config["seeds"]:
            done[setting, seed] = _seed(setup, config, setting, seed, workers)
            results = _results(setup, config, done)
            with atomic(out / "so-far.md") as part:
                part.write_text(render(results), encoding="utf-8")
    return results, render(results)


def _parts(config: dict[str, Any]) -> dict[str, Any]:
    """What is known in the folder by its name alone."""
    named = [*config["methods"], *config.get("scratch", [])]
    return {
        **{f"setting {name}": about for name, about in config["settings"].items()},
        **{f"method {one['name']}": one for one in named},
    }


def _seed(setup: Setup, config: dict[str, Any], setting: str, seed: int, workers: int) -> Done:
    """All cells of a seed: the unpruned networks, then the methods, then what needs theirs."""

    def fill(some: Iterator[Cell]) -> Done:
        return run_cells(
            list(some),
            setup.folder / "cells",
            workers=workers,
            on_done=lambda name, _: print(f"done: {name}", flush=True),
        )

    place = {"setup": setup, "setting": setting, "seed": seed}
    found = fill(
        Cell(f"{setting}/unpruned-{kind}/seed-{seed}", unpruned, {**place, "kind": kind})
        for kind in ("plain", "stochastic")
    )
    found |= fill(
        Cell(
            f"{setting}/{slug(method['name'])}/seed-{seed}",
            cells.gates if method["start"] == "gates" else cells.removal,
            {**place, "method": method},
        )
        for method in config["methods"]
    )
    return found | fill(_from_scratch(config, place, found))


def _from_scratch(config: dict[str, Any], place: dict[str, Any], found: Done) -> Iterator[Cell]:
    setting, seed = place["setting"], place["seed"]
    for entry in config.get("scratch", []):
        rows = found[f"{setting}/{slug(entry['of'])}/seed-{seed}"]
        stages = [
            {"name": row["budget"], "epochs": row["epochs"]}
            for row in rows
            if row["budget"] in entry["budgets"]
        ]
        arguments = {"of": entry["of"], "distilled": entry["distilled"], "stages": stages}
        name = f"{setting}/{slug(entry['name'])}/seed-{seed}"
        yield Cell(name, scratch, {**place, **arguments})


def _results(
    setup: Setup, config: dict[str, Any], done: dict[tuple[str, int], Done]
) -> dict[str, Any]:
    size = count(setup.fresh(0), setup.shape)
    return {
        "schema": "sfumato.compression/1",
        "data": {
            "name": config["data"],
            "train": len(setup.train[1]) - setup.validation,
            "validation": setup.validation,
            "test": len(setup.test[1]),
            "shape": list(setup.shape),
        },
        "seeds": config["seeds"],
        "config": config,
        "unpruned": {
            "multiplications": size.multiplications,
            "parameters": size.parameters,
            "activations": size.activations,
        },
        "rows": collect(config, done, size),
        "provenance": provenance(),
    }
