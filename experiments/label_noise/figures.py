"""From cells to rows, means over seeds, and differences within them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from experiments.label_noise.points import (
    Point,
    convergence_points,
    curve_points,
    study_points,
)
from sfumato.obfuscation.figures import Figure, figure

MEASURED = (
    "accuracy",
    "calibration_error",
    "auc_loss",
    "auc_spread",
    "precision_loss",
    "log_scale_right",
    "log_scale_wrong",
    "log_scale_std",
    "matrix_error",
    "dropped",
    "seconds",
)
OfSeed = Callable[[Point, int], dict[str, Any]]
"""The cell of a point and a seed."""


def collect(config: dict[str, Any], cell: OfSeed) -> dict[str, Any]:
    """Everything the page shows but the pruned networks."""
    seeds = config["seeds"]
    points = list(dict.fromkeys(curve_points(config)))
    wanted = convergence_points(config)
    return {
        "rows": [row_of(point, [cell(point, seed) for seed in seeds]) for point in points],
        "studies": [_study(study, cell, seeds) for study in config.get("studies", [])],
        "convergence": [
            {"method": p.method, "rate": p.rate, "losses": _losses(cell(p, s) for s in seeds)}
            for p in wanted
        ],
    }


def row_of(point: Point, found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The figures of a point over its seeds."""
    measured = {key: over_seeds(one.get(key) for one in found) for key in MEASURED}
    return {
        "noise": point.noise,
        "rate": point.rate,
        "method": point.method,
        **{key: figures for key, figures in measured.items() if figures is not None},
        "accuracies": [one["accuracy"] for one in found],
    }


def over_seeds(values: Iterable[float | None]) -> Figure | None:
    """Mean and spread of values of which none is missing."""
    listed = list(values)
    known = [value for value in listed if value is not None]
    return figure(known) if known and len(known) == len(listed) else None


def difference(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """How far one row's accuracy is above another's, seed by seed on the same labels."""
    gaps = np.subtract(one["accuracies"], other["accuracies"])
    made: dict[str, Any] = {**figure(gaps)}
    return {**made, "above": int((gaps > 0).sum())}


def _study(study: dict[str, Any], cell: OfSeed, seeds: Sequence[int]) -> dict[str, Any]:
    rows = []
    for entry, point in zip(study["rows"], study_points(study), strict=True):
        found = row_of(point, [cell(point, seed) for seed in seeds])
        rows.append({"label": entry.get("label", point.method), **found})
    words = {key: study[key] for key in ("title", "paper", "rate")}
    return {**words, "noise": study.get("noise", "patterned"), "rows": rows}


def _losses(found: Iterable[dict[str, Any]]) -> dict[str, list[float]]:
    """The mean loss of each epoch over the seeds, stage by stage."""
    of_seeds = [one["losses"] for one in found]
    return {
        stage: np.mean([losses[stage] for losses in of_seeds], axis=0).tolist()
        for stage in of_seeds[0]
    }
