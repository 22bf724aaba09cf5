"""Training and scoring many selectors, as `sfumato pixels train` and `evaluate` do it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sfumato.cli.common.folder import RunFolder
from sfumato.cli.common.progress import Display
from sfumato.cli.common.settings import worker_count
from sfumato.cli.pixels.cell import PixelJob, cell_name, pixel_cell, show
from sfumato.cli.pixels.comparison import nearest_price
from sfumato.cli.pixels.contenders import (
    ORACLE,
    PRICED,
    check_names,
    check_portions,
    check_rounds,
    predictor_for,
)
from sfumato.cli.pixels.evaluate import PixelEvaluateOptions
from sfumato.cli.pixels.kept import entries, is_kept, load_kept, note_run
from sfumato.cli.pixels.material import budget_of, budgets_of, check_k, gather, scored_scenes
from sfumato.cli.pixels.results import Point, save_pictures, write_results
from sfumato.cli.pixels.scoring import score_cell
from sfumato.cli.pixels.train import PixelTrainOptions
from sfumato.errors import SettingError
from sfumato.pixels.scenes import Scenes
from sfumato.pixels.schedules import NoiseSchedule, TemperatureSchedule
from sfumato.pixels.training import PixelRecipe
from sfumato.train import Cell, run_cells

EVALUATED = ("random", "grid", "edges", "expected-error", "uncertainty", ORACLE)


def train_and_compare(options: PixelTrainOptions, folder: RunFolder) -> list[str]:
    """`sfumato pixels train`.

    Returns:
        The lines to print at the end.

    Raises:
        SettingError: options that do not go together.
        DataError: data that cannot be used.
        StoreError: a file of the interrupted run that cannot be read.
    """
    beside = tuple(name for name in options.beside if name != options.selector)
    _check_train(options, beside)
    train, test = gather(options)
    predictor = predictor_for(options.predictor, train)
    k = budget_of(train, options.k, options.share)
    check_portions((options.selector, *beside), [k], options.rounds)
    job = _job(options, folder.path, train, test, predictor, kept=True)
    seeds = range(options.seed, options.seed + options.seeds)
    own: list[Point] = [
        (options.selector, k, weight, seed) for weight in options.weight or (None,)
        for seed in seeds
    ]  # fmt: skip
    points = [*own, *((name, k, None, seed) for name in beside for seed in seeds)]
    cells = _run(job, points, worker_count(options.workers))
    _note(folder.path, options.selector, points, cells)
    save_pictures(folder.path, test, points, k, cells)
    page = write_results(folder, (train, test), options.selector, list(cells.values()), k)
    where = f"trained: {folder.path} (sfumato pixels suggest --run {folder.path} --pictures FOLDER)"
    return [*page, where]


def evaluate_all(options: PixelEvaluateOptions, folder: RunFolder) -> list[str]:
    """`sfumato pixels evaluate`; arguments, lines and errors as for training."""
    _check_numbers(options)
    if options.run is not None:
        return _evaluate_run(options, folder)
    names = options.selectors or EVALUATED
    check_names(names, "--selectors")
    check_rounds(options.rounds)
    train, test = gather(options)
    predictor = predictor_for(options.predictor, train)
    ks = budgets_of(train, options.k, options.share)
    check_portions(names, ks, options.rounds)
    job = _job(options, folder.path, train, test, predictor, kept=False)
    seeds = range(options.seed, options.seed + options.seeds)
    points: list[Point] = [(name, k, None, seed) for seed in seeds for k in ks for name in names]
    cells = _run(job, points, worker_count(options.workers))
    shown = ks[len(ks) // 2]
    save_pictures(folder.path, test, points, shown, cells)
    return write_results(folder, (train, test), None, list(cells.values()), shown)


def _evaluate_run(options: PixelEvaluateOptions, folder: RunFolder) -> list[str]:
    """Score what a run has kept on other pictures, without any training."""
    assert options.run is not None
    names = options.selectors or ("all",)
    kept = [entry for name in names for entry in entries(options.run, name)]
    first = load_kept(Path(options.run) / kept[0]["folder"], options.predictor)
    test = scored_scenes(options, first.task, first.selector.size)
    ks = budgets_of(test, options.k or (() if options.share else (first.k,)), options.share)
    for k in ks:
        check_k(k, test)
    points: dict[Point, Path] = {
        (entry["selector"], k, entry["weight"], entry["seed"]): Path(options.run) / entry["folder"]
        for entry in kept
        for k in ks
    }
    cells = [
        Cell(
            cell_name(*point),
            score_cell,
            {
                "source": source,
                "seed": point[3],
                "k": point[1],
                "test": test,
                "predictor": options.predictor,
            },
        )
        for point, source in points.items()
    ]
    found = _cells(folder.path, cells, worker_count(options.workers))
    first = min(point[3] for point in points)
    for point, source in points.items():
        if point[1] == ks[0] and point[3] == first:
            path = folder.path / "shown" / f"{cell_name(*point)}.safetensors"
            show(replace(load_kept(source, options.predictor), k=ks[0]), test, first, path)
    save_pictures(folder.path, test, list(points), ks[0], found)
    return write_results(folder, (None, test), None, list(found.values()), ks[0])


def _check_train(options: PixelTrainOptions, beside: Sequence[str]) -> None:
    _check_numbers(options)
    check_names(beside, "--beside")
    check_rounds(options.rounds)
    pairs = options.selector == "stratified" and options.learning == "gains"
    if options.literal and (pairs or options.selector == "expected-error"):
        raise SettingError(
            "--literal is for what learns by the gradient: --selector gumbel, probabilistic, l1, "
            "top-k or fixed, or stratified with --learning gradient"
        )
    if options.weight and options.selector not in PRICED:
        raise SettingError(
            f"--weight is a price per pixel, and {options.selector} buys exactly k: use --k, or "
            f"--selector {', '.join(PRICED)}"
        )
    if any(not 0 <= weight < float("inf") for weight in options.weight):
        raise SettingError("--weight takes prices of at least 0")
    if len(set(options.weight)) < len(options.weight):
        raise SettingError("--weight takes different prices")


def _check_numbers(options: PixelTrainOptions | PixelEvaluateOptions) -> None:
    for name in ("seeds", "steps", "batch_size", "limit"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise SettingError(f"--{name} must be at least 1, not {value}")
    if not 0 < options.lr < float("inf"):
        raise SettingError(f"--lr must be above 0, not {options.lr}")


def _job(
    options: PixelTrainOptions | PixelEvaluateOptions,
    out: Path,
    train: Scenes,
    test: Scenes,
    predictor: str,
    *,
    kept: bool,
) -> PixelJob:
    more: dict[str, Any] = {}
    if isinstance(options, PixelTrainOptions):
        more["learning"] = options.learning
        if options.literal:
            more |= {"temperature": TemperatureSchedule(), "noise": NoiseSchedule(5)}
    recipe = PixelRecipe(
        steps=options.steps, batch_size=options.batch_size, lr=options.lr, selector_lr=options.lr,
        mirror=options.data != "digits", **more,
    )  # fmt: skip
    return PixelJob(out, train, test, predictor, options.rounds, recipe, options.seed, kept)


def _run(job: PixelJob, points: Sequence[Point], workers: int) -> dict[str, Any]:
    """All cells, by name; those that are finished and have lost their files are done again."""
    cells = [
        Cell(
            cell_name(*point),
            pixel_cell,
            {"job": job, "name": point[0], "k": point[1], "weight": point[2], "seed": point[3]},
        )
        for point in points
    ]
    for cell, point in zip(cells, points, strict=True):
        networks = not job.kept or point[0] == ORACLE or is_kept(job.out / "networks" / cell.name)
        shown = job.out / "shown" / f"{cell.name}.safetensors"
        if not networks or (point[3] == job.first and not shown.is_file()):
            cell.path(job.out / "cells").unlink(missing_ok=True)
    return _cells(job.out, cells, workers)


def _cells(out: Path, cells: Sequence[Cell], workers: int) -> dict[str, Any]:
    with Display(out) as display:
        display.on_plan(len(cells))

        def done(name: str, found: dict[str, Any]) -> None:
            evaluation = found["evaluation"]
            pixels = evaluation["pixels"]["mean"]
            display.on_done(name, {**evaluation["figures"], "pixels": pixels})

        return run_cells(cells, out / "cells", workers=workers, on_done=done)


def _note(out: Path, main: str, points: Sequence[Point], cells: dict[str, Any]) -> None:
    """Say what was kept; of several prices the one nearest to the budget is served."""
    own = [cells[cell_name(*point)] for point in points if point[2] is not None]
    price = nearest_price(own, points[0][1]) if own else None
    served = sorted(points, key=lambda point: point[2] not in (price, None))
    names = ("selector", "k", "weight", "seed")
    note_run(
        out,
        main,
        {
            cell_name(*point): dict(zip(names, point, strict=True))
            for point in served
            if point[0] != ORACLE
        },
    )
