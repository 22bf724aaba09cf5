"""From cells to rows: means over seeds, and differences within them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from experiments.robustness.points import Point, rows_of
from sfumato.obfuscation.figures import figure

OfSeed = Callable[[Point, int], dict[str, Any]]
"""The cell of a point and a seed."""


def collect(config: dict[str, Any], cell: OfSeed) -> list[dict[str, Any]]:
    """The rows of the page, each figure by its path in the cell, as "curve/margin/0.2"."""
    made = []
    for row, point in rows_of(config):
        cells = [cell(point, seed) for seed in config["seeds"]]
        suites = [one["suite"] for one in cells if "suite" in one]
        made.append(
            {
                "group": row["group"],
                "label": row["label"],
                "paper": row.get("paper", "figure only"),
                "method": point.method,
                "training": point.training,
                "settings": point.settings,
                "compare": row.get("compare"),
                "figures": over_seeds([dict(numbers(one)) for one in cells]),
                "reasons": _reasons(suites, "masked"),
                "signs": _reasons(suites, "unsettled"),
                "strongest": [one["strongest"] for one in suites],
            }
        )
    return made


def _reasons(suites: list[dict[str, Any]], verdict: str) -> list[str]:
    """What was seen in the seeds of this verdict, each once."""
    return list(dict.fromkeys(r for one in suites if one[verdict] for r in one["reasons"]))


def numbers(content: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, float]]:
    """All numbers of a cell by their path."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from numbers(value, f"{path}{key}/")
        elif isinstance(value, (int, float)):
            yield f"{path}{key}", float(value)


def over_seeds(cells: list[dict[str, float]]) -> dict[str, Any]:
    """Mean, spread and values of each figure that every seed has."""
    shared = [key for key in cells[0] if all(key in one for one in cells)]
    listed = {key: [one[key] for one in cells] for key in shared}
    return {key: {**figure(values), "values": values} for key, values in listed.items()}


def difference(one: dict[str, Any], other: dict[str, Any], key: str) -> dict[str, Any]:
    """How far one row's figure is above another's, seed by seed."""
    gaps = np.subtract(one["figures"][key]["values"], other["figures"][key]["values"])
    made: dict[str, Any] = {**figure(gaps)}
    return {**made, "above": int((gaps > 0).sum())}


def at(row: dict[str, Any], prefix: str) -> dict[str, dict[str, Any]]:
    """The figures under a path by their last part, as ε: `at(row, "suite/worst")`."""
    start = f"{prefix}/"
    return {k[len(start) :]: v for k, v in row["figures"].items() if k.startswith(start)}
