"""Incremental training with obfuscated records (spec 3 §4), with its baselines in the same run."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from sfumato.data import gather
from sfumato.data.records import Records
from sfumato.errors import SettingError
from sfumato.files import prepare_folder, read_json, write_json
from sfumato.obfuscation import baselines, few, rounds
from sfumato.obfuscation.figures import figure, verdict
from sfumato.obfuscation.plan import Job, ModelFactory, Plan
from sfumato.train import Cell, provenance, run_cells

SCHEMA = "sfumato.results/1"
OnDone = Callable[[str, Any], None]


def incremental(
    model: ModelFactory | nn.Module,
    data: Any,
    fractions: Sequence[float] | None = None,
    *,
    test: Any,
    plan: Plan | None = None,
    out: str | Path = "runs/incremental",
    workers: int = 1,
    on_plan: Callable[[int], None] | None = None,
    on_done: OnDone | None = None,
    command: str = "train",
) -> dict[str, Any]:
    """Train in rounds on a small clean part and obfuscated releases of the rest.

    Round p: train NN-p on the share p of clean records; fit the obfuscator SL-p against it;
    release the other records, once; resume NN-p on clean and released records, screened at every
    step. A record released in an earlier round keeps its release. Every seed runs the same rounds,
    and isotropic noise, class mean + noise and full clean training beside them.

    All state lies in `out`; the same call resumes where an interrupted one stopped.

    Args:
        model: a factory `(shape, classes) -> nn.Module`, or a network that every training starts
            from a copy of.
        data: training records: `Records` or any torch dataset of (record, label).
        fractions: instead of the plan's.
        test: test records, clean; they are attacked too.
        plan: all other settings.
        out: the run's folder.
        workers: processes at a time.
        on_plan: called once with the number of cells that are still to be done.
        on_done: called with name and result of each cell of the table as it is done.
        command: what to call the run in its results.

    Returns:
        The results, as written to `out/results.json` (schema "sfumato.results/1").

    Raises:
        DataError: records that cannot be used.
        SettingError: a setting out of range, or `out` holds a run with other settings.
        OutputError: `out` cannot be written.
    """
    plan = plan or Plan()
    if fractions is not None:
        plan = replace(plan, fractions=tuple(fractions))
    train, held = (gather(d) for d in (data, test))
    folder = prepare_folder(out)
    job = Job.of(plan, model, train, held, folder)
    results = _described(job, train, held, command)
    _same_run(folder, job, results)
    run = partial(run_cells, folder=folder / "cells", workers=workers, on_done=on_done)
    if on_plan is not None:
        cells = [c for p in plan.fractions for c in (*_first_cells(job, p), *_cells(job, p))]
        on_plan(sum(not cell.path(folder / "cells").exists() for cell in cells))
    table: dict[str, Any] = {}
    for number, fraction in enumerate(plan.fractions, start=1):
        table |= run(_first_cells(job, fraction))
        table |= run(_cells(job, fraction))
        results |= _results(job, table, plan.fractions[:number])
        results["verdict"] = verdict(results)
        write_json(folder / "results.json", results)
        if plan.target and results["rounds"][-1]["with_released"]["mean"] >= plan.target:
            break
    return results


def _first_cells(job: Job, fraction: float) -> list[Cell]:
    """NN-p for every seed: all other cells of the round start from it."""
    seeds = job.plan.seeds
    return [
        _cell(f"clean-{fraction:g}/seed-{s}", rounds.clean_only, job, fraction, s) for s in seeds
    ]


def _cells(job: Job, fraction: float) -> list[Cell]:
    """The rest of a round; long cells first, so that the processes end together."""
    plan, cells = job.plan, []
    for seed in plan.seeds:
        name = f"round-{fraction:g}/seed-{seed}"
        cells.append(_cell(name, rounds.obfuscated_round, job, fraction, seed))
    first = fraction == plan.fractions[0]
    for seed in plan.seeds:
        if first:
            cells.append(_cell(f"ceiling/seed-{seed}", baselines.ceiling, job, seed))
        if not plan.baselines:
            continue
        for sigma in plan.sigmas:
            end = f"sigma-{sigma:g}/seed-{seed}"
            if first:
                name = f"isotropic-leak/{end}"
                cells.append(_cell(name, baselines.isotropic_leak, job, sigma, seed))
            name = f"isotropic-{fraction:g}/{end}"
            cells.append(_cell(name, baselines.isotropic_round, job, fraction, sigma, seed))
            for share in plan.shares if first and sigma in plan.middle_sigma else ():
                name = f"few-{share:g}/{end}"
                cells.append(_cell(name, few.few_round, job, fraction, sigma, share, seed))
        if first:
            mean = (job, fraction, plan.sigma, seed)
            cells.append(_cell(f"class-mean/seed-{seed}", baselines.class_mean_round, *mean))
            cells.append(_cell(f"class-mean-leak/seed-{seed}", baselines.class_mean_leak, *mean))
    return cells


def _cell(name: str, function: Callable[..., Any], *arguments: Any) -> Cell:
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    return Cell(name, function, dict(zip(names, arguments, strict=True)))


def _results(job: Job, table: dict[str, Any], done: Sequence[float]) -> dict[str, Any]:
    plan = job.plan

    def over_seeds(name: str, key: str = "accuracy") -> Any:
        return figure(table[f"{name}/seed-{seed}"][key] for seed in plan.seeds)

    listed = []
    for fraction in done:
        one = table[f"round-{fraction:g}/seed-{plan.seeds[0]}"]
        entry = {
            "fraction": fraction,
            "clean_records": len(rounds.clean_part(job, fraction, plan.seeds[0])),
            "releases": one["releases"],
            "clean_only": over_seeds(f"clean-{fraction:g}"),
        }
        keys = [key for key in one if key != "releases"]
        listed.append(entry | {key: over_seeds(f"round-{fraction:g}", key) for key in keys})
    isotropic = [
        {
            "fraction": fraction,
            "sigma": sigma,
            "accuracy": over_seeds(f"isotropic-{fraction:g}/sigma-{sigma:g}"),
            "leak": over_seeds(f"isotropic-leak/sigma-{sigma:g}", "leak"),
        }
        for fraction in done
        for sigma in (plan.sigmas if plan.baselines else ())
    ]
    mean = {
        "fraction": plan.fractions[0],
        "sigma": plan.sigma,
        "accuracy": over_seeds("class-mean"),
        "leak": over_seeds("class-mean-leak", "leak"),
    } if plan.baselines else None  # fmt: skip
    return {
        "ceiling": over_seeds("ceiling"),
        "rounds": listed,
        "baselines": {"isotropic": isotropic, "few": _few(plan, table), "class_mean": mean},
    }


def _few(plan: Plan, table: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows that release few records; their noise was attacked as isotropic noise on all."""
    rows: list[dict[str, Any]] = []
    sigmas = plan.middle_sigma if plan.baselines else ()
    for share, sigma in itertools.product(plan.shares, sigmas):
        ends = [f"sigma-{sigma:g}/seed-{seed}" for seed in plan.seeds]
        cells = [table[f"few-{share:g}/{end}"] for end in ends]
        leaks = [
            few.few_leaks(table[f"isotropic-leak/{end}"], cell["out"])
            for end, cell in zip(ends, cells, strict=True)
        ]
        row: dict[str, Any] = {"fraction": plan.fractions[0], "share": share, "sigma": sigma}
        row["accuracy"] = figure(cell["accuracy"] for cell in cells)
        rows.append(row | {key: figure(one[key] for one in leaks) for key in leaks[0]})
    return rows


def _described(job: Job, train: Records, test: Records, command: str) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "command": command,
        "data": {
            "name": train.name,
            "train": len(train),
            "test": len(test),
            "shape": list(train.shape),
            "classes": list(train.classes),
        },
        "seeds": list(job.plan.seeds),
        "config": {
            **_listed(asdict(job.plan)),
            "model": _named(job.model),
        },
        "provenance": provenance(),
    }


def _named(model: Any) -> str:
    """What to call a model or its factory; the same in every process."""
    if isinstance(model, nn.Module):
        return str(model)
    if isinstance(model, partial):
        given = [*map(repr, model.args), *(f"{k}={v!r}" for k, v in model.keywords.items())]
        return f"{_named(model.func)}({', '.join(given)})"
    named = model if hasattr(model, "__qualname__") else type(model)
    return f"{named.__module__}:{named.__qualname__}"


def _listed(value: Any) -> Any:
    """Tuples as lists, as they come back from JSON."""
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, (tuple, list)) else value


def _same_run(folder: Path, job: Job, described: dict[str, Any]) -> None:
    """Refuse to mix two runs in one folder.

    A run may grow: by fractions after those it has, by seeds and sigmas, to another target.
    """
    grows = ("fractions", "seeds", "sigmas", "target")
    config = {key: value for key, value in described["config"].items() if key not in grows}
    # Releases are made in the first round: another first fraction is another run.
    first = job.plan.fractions[0]
    run = {"records": job.fingerprint(), "first_fraction": first, "config": config}
    path = folder / "run.json"
    if not path.exists():
        write_json(path, run)
    elif read_json(path) != run:
        raise SettingError(
            f"{folder} holds a run with other data or settings: choose another --out, or delete it"
        )
