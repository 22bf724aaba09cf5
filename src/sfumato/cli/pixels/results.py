"""What `sfumato pixels train` and `evaluate` leave behind: figures, pictures, the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sfumato.cli.common.folder import RunFolder
from sfumato.cli.pixels.cell import cell_name, shown_of
from sfumato.cli.pixels.comparison import alarms, comparison, nearest_price
from sfumato.errors import StoreError
from sfumato.files import atomic, write_json
from sfumato.pixels.scenes import Scenes
from sfumato.report.pixels.page import PIXELS_SCHEMA, validate_pixels, write_pixels
from sfumato.report.pixels.words import verdict
from sfumato.train import provenance

Point = tuple[str, int, float | None, int]
"""Selector, pixels per picture, price, seed."""


def save_pictures(
    out: Path, test: Scenes, points: Sequence[Point], k: int, cells: Mapping[str, Any]
) -> None:
    """Write what the page shows: pictures, truth, and each selector's pixels and predictions.

    Args:
        out: the run's folder.
        test: the pictures.
        points: the cells; the first seed is shown.
        k: the budget that is shown.
        cells: what they found, by name.

    Raises:
        StoreError: a file is damaged.
    """
    few = test.subset(shown_of(len(test)))
    tensors = {"image": few.images, "target": few.targets, "valid": few.valid}
    first = min(seed for _, _, _, seed in points)
    for name in dict.fromkeys(point[0] for point in points):
        mine = [one for one in points if one[0] == name and one[1] == k and one[3] == first]
        if not mine:
            continue
        price = mine[0][2]
        if price is not None:
            rows = [cells[cell_name(*one)] for one in points if one[0] == name and one[1] == k]
            price = nearest_price(rows, k)
        path = out / "shown" / f"{cell_name(name, k, price, first)}.safetensors"
        for key, tensor in _read(path).items():
            tensors[f"{key}/{name}"] = tensor
    with atomic(out / "pictures.safetensors") as part:
        save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, part)


def write_results(
    folder: RunFolder,
    scenes: tuple[Scenes | None, Scenes],
    main: str | None,
    cells: Sequence[dict[str, Any]],
    shown: int,
) -> list[str]:
    """Write results.json and the page.

    Args:
        folder: of the run.
        scenes: for training, where there were any, and for testing.
        main: the selector that the run is about; None where it compares several.
        cells: what was found.
        shown: the budget of the pictures.

    Returns:
        The verdict, and where the page lies.
    """
    train, test = scenes
    better = test.task.higher_is_better
    ks = sorted({cell["k"] for cell in cells})
    names = list(dict.fromkeys(cell["contender"] for cell in cells))
    rows = [
        comparison(cells, name, over, k, better)
        for k in ks
        for name in names
        for over in ("grid", "random")
        if name != over
    ]
    content: dict[str, Any] = {
        "schema": PIXELS_SCHEMA,
        "command": folder.command,
        "data": _data(folder.settings["data"], train, test),
        "task": test.task.settings(),
        "headline": test.task.headline,
        "higher_is_better": better,
        "unit": str(getattr(test.task, "unit", "")),
        "selector": main,
        "budgets": ks,
        "shown": shown,
        "cells": list(cells),
        "comparison": [row for row in rows if row is not None],
        "alarms": alarms(cells, ks, better),
        "config": {**folder.settings},
        "provenance": provenance(),
    }
    content["verdict"] = verdict(content)
    validate_pixels(content)
    write_json(folder.path / "results.json", content)
    return [*content["verdict"], f"report: {write_pixels(folder.path)}"]


def _data(name: str, train: Scenes | None, test: Scenes) -> dict[str, Any]:
    return {
        "name": name,
        "train": None if train is None else len(train),
        "test": len(test),
        "size": list(test.size),
        "channels": test.channels,
        "valid": float(test.valid.double().mean()),
    }


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise StoreError(
            f"{path} is truncated or damaged: delete it and run again ({error})"
        ) from error
