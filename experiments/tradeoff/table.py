"""Accuracy and leak of every method on one data set, in one run (spec 3, DESIGN §6)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.resume import same_setup
from experiments.tradeoff import cells
from experiments.tradeoff.figures import collect
from experiments.tradeoff.page import draw, render
from experiments.tradeoff.setup import Setup, setup_of
from sfumato.train import Cell, derive, provenance, run_cells

__all__ = ["draw", "points_of", "render", "run"]


@dataclass(frozen=True)
class Point:
    """One setting of one method.

    Args:
        method: what the table calls it.
        mechanism: its name in `mechanisms.py`.
        settings: of the mechanism.
        share: how much of the rest is released.
        policy: which records.
        learner: its name in `learners.py`.
    """

    method: str
    mechanism: str
    settings: dict[str, Any]
    share: float = 1.0
    policy: str = "random"
    learner: str = "plain"

    @property
    def attack(self) -> str:
        """The mechanism with its settings, as a file name."""
        plain = {k: v for k, v in self.settings.items() if not isinstance(v, (dict, list))}
        parts = [self.mechanism, *(f"{k}={v}" for k, v in sorted(plain.items()))]
        nested = {k: v for k, v in self.settings.items() if k not in plain}
        return ",".join([*parts, *([f"{derive(nested):x}"[:8]] if nested else [])])

    @property
    def name(self) -> str:
        """The whole point, as a file name."""
        chosen = f",{self.policy}={self.share:g}" if self.share < 1 else ""
        learner = f",{self.learner.replace(', ', '-')}" if self.learner != "plain" else ""
        return self.attack + chosen + learner


def run(config: dict[str, Any], source: str, out: Path, workers: int) -> tuple[dict[str, Any], str]:
    """Fill the missing cells of `config` on the data at `source`: results and a Markdown table."""
    # Methods, grids and seeds may grow.
    keys = ("data", "train_records", "test_records", "pool", "setup")
    same_setup(out, {key: config.get(key) for key in keys})
    setup, seeds = setup_of(config, source, out), config["seeds"]
    points = list(points_of(config.get("training", [])))
    served = list(points_of(config.get("inference", [])))

    def fill(some: list[Cell]) -> dict[str, Any]:
        return run_cells(
            some,
            out / "cells",
            workers=workers,
            on_done=lambda name, _: print(f"done: {name}", flush=True),
        )

    first = fill([cell for seed in seeds for cell in _networks(setup, seed)])  # others read them
    rest = fill([cell for seed in seeds for cell in _cells(setup, seed, points, served)])
    results = {
        "schema": "sfumato.tradeoff/1",
        "data": {
            "name": config["data"],
            "train": len(setup.train[1]),
            "test": len(setup.test[1]),
            "clean": setup.fraction,
            "shape": list(setup.train[0].shape[1:]),
        },
        "seeds": seeds,
        "config": config,
        **collect(first | rest, points, served, seeds),
        "provenance": provenance(),
    }
    return results, render(results)


def points_of(entries: list[dict[str, Any]]) -> Iterator[Point]:
    """Every combination of the lists in an entry's `grid`."""
    for entry in entries:
        grid = entry.get("grid", {})
        for values in itertools.product(*grid.values()):
            settings = dict(entry.get("settings", {})) | dict(zip(grid, values, strict=True))
            share, policy = settings.pop("share", 1.0), settings.pop("policy", "random")
            learner = settings.pop("learner", "plain")
            yield Point(entry["method"], entry["mechanism"], settings, share, policy, learner)


def _networks(setup: Setup, seed: int) -> Iterator[Cell]:
    arguments = {"setup": setup, "seed": seed}
    yield Cell(f"clean/seed-{seed}", cells.clean_only, arguments)
    yield Cell(f"full/seed-{seed}", cells.all_clean, arguments)


def _cells(setup: Setup, seed: int, points: list[Point], served: list[Point]) -> Iterator[Cell]:
    shared = {"setup": setup, "seed": seed}
    for point in points:
        arguments = {**shared, "mechanism": point.mechanism, "settings": point.settings}
        chosen = {"share": point.share, "policy": point.policy, "learner": point.learner}
        yield Cell(f"training/{point.name}/seed-{seed}", cells.training, arguments | chosen)
    for name, point in {point.attack: point for point in points}.items():
        arguments = {**shared, "mechanism": point.mechanism, "settings": point.settings}
        yield Cell(f"attack/{name}/seed-{seed}", cells.attacked, arguments)
    for point in served:
        arguments = {**shared, "mechanism": point.mechanism, "settings": point.settings}
        yield Cell(f"inference/{point.name}/seed-{seed}", cells.inference, arguments)
