"""Finding wrong labels, as `sfumato denoise` does it."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sfumato.cli.common.folder import RunFolder
from sfumato.cli.common.models import check_model
from sfumato.cli.common.progress import Display
from sfumato.cli.common.settings import worker_count
from sfumato.cli.denoise.cell import KEPT, DenoiseJob, cell_name, denoise_cell
from sfumato.cli.denoise.command import DenoiseOptions
from sfumato.cli.denoise.material import Material, file_names, gather_material
from sfumato.errors import SettingError, StoreError
from sfumato.files import atomic, write_json
from sfumato.label_noise import METHODS, NoisyLabels
from sfumato.label_noise.confident import check_cleanlab
from sfumato.report.denoise.page import DENOISE_SCHEMA, validate_denoise, write_denoise
from sfumato.report.denoise.words import verdict
from sfumato.train import Cell, provenance, run_cells

PICTURES = 10
"""Pictures of the most and of the least certain records."""


def denoise(options: DenoiseOptions, folder: RunFolder) -> list[str]:
    """Train, rank the labels, and write the list, the network and the report.

    Returns:
        The lines to print at the end.

    Raises:
        SettingError: options that do not go together.
        DataError: records or labels that cannot be used.
        StoreError: saved labels or a file of the interrupted run that cannot be read.
    """
    rates = check_options(options)
    material = gather_material(options)
    job = DenoiseJob(options, material.train, material.test, folder.path)
    workers = _check(job)
    cells = [
        Cell(
            cell_name(method, rate, seed),
            denoise_cell,
            {"job": job, "method": method, "rate": rate, "seed": seed},
        )
        for method in options.method
        for rate in rates
        for seed in range(options.seeds)
    ]
    _forget(cells, folder.path)
    with Display(folder.path) as display:
        display.on_plan(len(cells))
        found = run_cells(
            cells,
            folder.path / "cells",
            workers=workers,
            on_done=display.on_done,
        )
    results = _results(options, folder, material, job, list(found.values()))
    validate_denoise(results)
    write_json(folder.path / "results.json", results)
    page = write_denoise(folder.path)
    out = folder.path
    return [*results["verdict"], f"suspects: {out / 'suspects.csv'}", f"report: {page}"]


def check_options(options: DenoiseOptions) -> tuple[float | None, ...]:
    """The shares of wrong labels to train at; a single None where nothing is made wrong.

    Raises:
        SettingError: options that do not go together, or an unknown method.
    """
    for name in options.method:
        if name not in METHODS:
            raise SettingError(f"--method {name} is unknown; there are {', '.join(METHODS)}")
    if not options.method or len(set(options.method)) < len(options.method):
        raise SettingError("--method takes one or more different names")
    _check_numbers(options)
    if options.score == "spread" and any("se-snn" not in name for name in options.method):
        raise SettingError("--score spread needs methods with stochastic layers, such as se-snn")
    if options.noise == "none":
        if options.rate:
            raise SettingError("--rate needs --noise patterned, symmetric or instance")
        return (None,)
    if options.labels is not None:
        raise SettingError("--labels brings wrong labels already: leave --noise out")
    if any(not 0 <= rate < 1 for rate in options.rate):
        raise SettingError("--rate takes shares from 0 up to, not including, 1")
    return tuple(dict.fromkeys(options.rate)) or (0.2,)


def _check_numbers(options: DenoiseOptions) -> None:
    if options.seeds < 1 or options.show < 1:
        raise SettingError("--seeds and --show must be at least 1")
    if options.epochs is not None and options.epochs < 1:
        raise SettingError(f"--epochs must be at least 1, not {options.epochs}")
    if options.lr is not None and not options.lr > 0:
        raise SettingError(f"--lr must be above 0, not {options.lr}")


def _check(job: DenoiseJob) -> int:
    """Say before the work what cannot be used; nothing is written. The number of processes."""
    if job.options.score == "cleanlab":
        check_cleanlab()
    check_model(job.options.model, job.train)
    if job.options.labels is not None:
        job.given(None, 0)
    return worker_count(job.options.workers)


def _forget(cells: Sequence[Cell], out: Path) -> None:
    """Take back what is finished and has lost its files; its last checkpoint makes them anew."""
    for cell in cells:
        kept = out / "networks" / cell.name
        if not all((kept / name).is_file() for name in KEPT):
            cell.path(out / "cells").unlink(missing_ok=True)


def _results(
    options: DenoiseOptions,
    folder: RunFolder,
    material: Material,
    job: DenoiseJob,
    rows: list[dict[str, Any]],
) -> dict[str, Any]:
    """What goes into results.json; the list, the network and the pictures are written."""
    chosen = headline(options, rows)
    listed, certain = _list(options, material, job, chosen)
    content: dict[str, Any] = {
        "schema": DENOISE_SCHEMA,
        "command": folder.command,
        "data": {
            "name": options.data,
            "train": len(material.train),
            "test": None if material.test is None else len(material.test),
            "held_out": material.held_out,
            "shape": list(material.train.shape),
            "classes": list(material.train.classes),
        },
        "noise": options.noise if options.labels is None else "file",
        "score": options.score,
        "headline": {key: chosen[key] for key in ("method", "rate", "seed", "doubt")},
        "rows": rows,
        "flagged": chosen["flagged"],
        "suspects": listed,
        "certainty": certain,
        "config": {**folder.settings},
        "provenance": provenance(),
    }
    return {**content, "verdict": verdict(content)}


def headline(options: DenoiseOptions, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The training whose list is shown: the first method, the largest share of noise, seed 0."""
    first = [row for row in rows if row["method"] == options.method[0] and row["seed"] == 0]
    return max(first, key=lambda row: row["rate"] or 0.0)


def _list(
    options: DenoiseOptions, material: Material, job: DenoiseJob, chosen: dict[str, Any]
) -> tuple[list[dict[str, Any]], dict[str, list[int]]]:
    """Write suspects.csv, the network and the pictures; the rows that are shown, and fig. 3c."""
    place = job.out / "networks" / cell_name(chosen["method"], chosen["rate"], chosen["seed"])
    _, columns = (_read(place / name) for name in KEPT)
    noisy = job.given(chosen["rate"], chosen["seed"])
    names = file_names(options.data, material.places.tolist())
    rows = _rows(columns, chosen["flagged"], material, names, noisy)
    with atomic(job.out / "suspects.csv") as part, part.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with atomic(job.out / "model.safetensors") as part:
        shutil.copyfile(place / "model.safetensors", part)
    order = columns["doubt"].argsort(stable=True)
    ends = {"most": order[:PICTURES], "least": order.flip(0)[:PICTURES]}
    shown = rows[: options.show]
    _pictures(job, columns["records"][: options.show], ends)
    given = job.train.labels if noisy is None else noisy.labels
    return shown, {key: given[some].tolist() for key, some in ends.items()}


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise StoreError(
            f"{path} is truncated or damaged: delete it and run again ({error})"
        ) from error


def _rows(
    columns: dict[str, Tensor],
    flagged: int,
    material: Material,
    names: Sequence[str],
    noisy: NoisyLabels | None,
) -> list[dict[str, Any]]:
    classes = material.train.classes
    lists = (columns[name].tolist() for name in ("records", "given", "guessed", "score"))
    rows = []
    for rank, (record, given, guessed, score) in enumerate(zip(*lists, strict=True), 1):
        row: dict[str, Any] = {
            "rank": rank,
            "record": int(material.places[record]),
            "file": names[record],
            "given": classes[given],
            "guessed": classes[guessed],
            "score": round(score, 6),
            "flagged": rank <= flagged,
        }
        if noisy is not None:
            row["wrong"] = bool(noisy.flipped[record])
        rows.append(row)
    return rows


def _pictures(job: DenoiseJob, records: Tensor, ends: dict[str, Tensor]) -> None:
    """Keep what the page shows; records that are no pictures are not shown."""
    if len(job.train.shape) != 3:
        return
    tensors = {"suspects": records, **ends}
    with atomic(job.out / "pictures.safetensors") as part:
        inputs = job.train.inputs
        save_file({name: inputs[some].contiguous() for name, some in tensors.items()}, part)
