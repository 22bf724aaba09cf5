"""A cell of the table: one row trained and scored at one budget with one seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from experiments.pixels.rows import Row
from experiments.pixels.shapes import shape_of
from sfumato.files import prepare_folder
from sfumato.pixels.evaluation import contest, evaluate, predict
from sfumato.pixels.scenes import Scenes, scene_splits
from sfumato.pixels.selectors import Grid, Selector
from sfumato.train import Cell


@dataclass(frozen=True)
class Point:
    """What one cell is of.

    Args:
        row: what is trained.
        k: pixels per picture; with a price, those of the second figure.
        seed: of everything.
    """

    row: Row
    k: int
    seed: int

    @property
    def name(self) -> str:
        """Of its cell."""
        return f"{self.row.name}/k-{self.k}/seed-{self.seed}"


@dataclass(frozen=True)
class Task:
    """What all cells share.

    Args:
        source: where the data lies.
        size: height and width that it is worked on in, or None for its own.
        limits: training and test pictures, None for all.
        recipe: of every row, where it says nothing else.
        folder: the run's.
        shapes: whether the chosen pixels are looked at all together.
    """

    source: str
    size: tuple[int, int] | None
    limits: tuple[int | None, int | None]
    recipe: dict[str, Any]
    folder: Path
    shapes: bool = False

    def scenes(self) -> tuple[Scenes, Scenes]:
        """Training and test scenes, with one task."""
        train, test = scene_splits(self.source, size=self.size)
        return _first(train, self.limits[0]), _first(test, self.limits[1])


def cells_of(task: Task, points: list[Point], scenes: tuple[Scenes, Scenes]) -> list[Cell]:
    """The cells of these points, in their order."""
    return [
        Cell(point.name, measured, {"task": task, "point": point, "scenes": scenes})
        for point in points
    ]


def measured(task: Task, point: Point, scenes: tuple[Scenes, Scenes]) -> dict[str, Any]:
    """Train and score; an interrupted training goes on from its checkpoint."""
    folder = prepare_folder(task.folder / "state" / point.row.name)
    checkpoint = folder / f"k-{point.k}-seed-{point.seed}.pt"
    row, made = point.row, list[tuple[Selector, nn.Module]]()

    def selector(train: Scenes, predictor: nn.Module) -> Selector:
        made.append((row.make_selector(train, predictor), predictor))
        return made[0][0]

    found = contest(
        replace(row.contender(), selector=selector),
        *scenes,
        point.k,
        weight=row.weight,
        recipe=row.fitted(task.recipe),
        seed=point.seed,
        checkpoint=checkpoint,
    )
    if row.weight is None and not row.oracle:  # what of the figure is the predictor's alone
        grid = Grid(scenes[1].channels, scenes[1].size)
        on_grid = evaluate(grid, made[0][1], scenes[1], point.k, seed=point.seed)
        found["on_grid"] = on_grid.as_json()
    if task.shapes and not row.oracle:
        masks, _ = predict(*made[0], scenes[1], point.k, rounds=row.rounds, seed=point.seed)
        bought = masks
        if row.weight is not None:
            bought, _ = predict(*made[0], scenes[1], None, seed=point.seed)
        found["shape"] = shape_of(masks, bought)
    checkpoint.unlink(missing_ok=True)
    return {**found, "history": found["history"][-1:]}


def _first(scenes: Scenes, limit: int | None) -> Scenes:
    """Pictures spread over all of them: neighbours are alike."""
    if limit is None or limit >= len(scenes):
        return scenes
    return scenes.subset([i * len(scenes) // limit for i in range(limit)])
