"""Means and spreads of the cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from experiments.pixels.rows import Row


def collect(
    rows: Sequence[Row],
    config: Mapping[str, Any],
    found: Mapping[str, Mapping[str, Any]],
    higher_is_better: bool,
) -> list[dict[str, Any]]:
    """One entry for every row and budget, with the figures of every seed."""
    made = []
    for row in rows:
        for k in row.budgets or config["budgets"]:
            cells = [found[f"{row.name}/k-{k}/seed-{seed}"] for seed in config["seeds"]]
            made.append(_entry(row, k, cells, higher_is_better))
    return made


def _entry(
    row: Row, k: int, cells: Sequence[Mapping[str, Any]], higher_is_better: bool
) -> dict[str, Any]:
    evaluations = [cell["evaluation"] for cell in cells]
    bought = [found["pixels"] for found in evaluations]
    entry: dict[str, Any] = {
        "row": row.name,
        "k": k,
        "headline": evaluations[0]["headline"],
        "higher_is_better": higher_is_better,
        "figures": _summaries([found["figures"] for found in evaluations]),
        "pixels": {
            "minimum": min(each["minimum"] for each in bought),
            "mean": mean(each["mean"] for each in bought),
            "maximum": max(each["maximum"] for each in bought),
        },
        "failed": mean(found["failed"] for found in evaluations),
        "seconds": mean(cell["seconds"] for cell in cells),
    }
    if all("held" in cell for cell in cells):
        entry["held"] = _summaries([cell["held"]["figures"] for cell in cells])
    if all("on_grid" in cell for cell in cells):
        entry["on_grid"] = _summaries([cell["on_grid"]["figures"] for cell in cells])
    if all("shape" in cell for cell in cells):
        entry["shape"] = _shapes([cell["shape"] for cell in cells])
    return entry


def _shapes(shapes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Figures of the masks over the seeds, and where the first seed's pixels were."""
    found: dict[str, Any] = {}
    for name in ("border", "lattice", "distinct", "empty"):
        known = [shape[name] for shape in shapes if shape[name] is not None]
        found[name] = mean(known) if known else None
    return {**found, "border_uniform": shapes[0]["border_uniform"], "often": shapes[0]["often"]}


def _summaries(figures: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    # Whoever buys every pixel leaves none to score.
    names = [name for name in figures[0] if all(name in each for each in figures)]
    return {name: summary([each[name] for each in figures]) for name in names}


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Mean, standard deviation and the values themselves, in the order of the seeds."""
    spread = stdev(values) if len(values) > 1 else 0.0
    return {"mean": mean(values), "std": spread, "values": list(values)}


def entry_of(rows: Sequence[Mapping[str, Any]], name: str, k: int) -> Mapping[str, Any] | None:
    """The entry of a row at a budget, if there is one."""
    return next((row for row in rows if row["row"] == name and row["k"] == k), None)


def headline(entry: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The summary of the figure that rows are compared by, if there was anything to score."""
    found: Mapping[str, Any] | None = entry["figures"].get(entry["headline"])
    return found


def gains(entry: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any] | None:
    """By how much an entry is better than another one, seed by seed: above 0 is better."""
    one, two = headline(entry), headline(other)
    if one is None or two is None:
        return None
    sign = 1 if entry["higher_is_better"] else -1
    return summary([sign * (a - b) for a, b in zip(one["values"], two["values"], strict=True)])
