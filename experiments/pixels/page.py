"""The table as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_WORDS = {
    "miou": "mIoU, %",
    "accuracy": "pixel accuracy, %",
    "rmse": "RMSE",
    "mae": "mean absolute error",
}


def render(results: Mapping[str, Any]) -> str:
    """The page; figures are mean ± standard deviation over the seeds."""
    config, data, seeds = results["config"], results["data"], results["seeds"]
    height, width = data["size"]
    lines = [f"# {config['title']}", ""]
    lines += [f"- {text}" for text in results["verdict"]]
    lines += [
        "",
        f"{data['name']}: {data['train']} training and {data['test']} test pictures of {height} × "
        f"{width} pixels. Every row has a predictor of its own, trained for it with the recipe "
        f"`{config.get('recipe', {})}`, and is scored on the valid pixels that were **not** "
        f"bought. Mean ± standard deviation over {len(seeds)} seeds ({seeds}); with so few seeds "
        "a gain is called beyond chance by a paired t-test at 5 %.",
        *[line for note in config.get("notes", []) for line in ("", note)],
    ]
    for k in config["budgets"]:
        some = [row for row in results["rows"] if row["k"] == k]
        share = 100 * k / data["pixels"]
        lines += ["", f"## {k} pixels a picture ({share:.2f} %)", "", *_table(some)]
    made = results["provenance"]
    machine = f"{made['machine']['processor']}, {made['machine']['cores']} cores"
    versions = f"torch {made['versions']['torch']}, {machine}, {made['date'][:10]}."
    return "\n".join([*lines, "", versions, ""])


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    names = list(dict.fromkeys(name for row in rows for name in row["figures"]))
    held = any("held" in row for row in rows)
    shapes = any("shape" in row for row in rows)
    head = ["row", *[_WORDS.get(name, name) for name in names]]
    head += ["the grid with its predictor"]
    head += ["… with exactly k"] if held else []
    head += ["bought: least", "mean", "most"]
    head += ["at the border, %", "in one lattice, %", "distinct", "pictures without, %"] * shapes
    head += ["failed", "minutes of training"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in rows:
        cells = [row["row"], *[_figure(name, row["figures"].get(name)) for name in names]]
        name = row["headline"]
        cells.append(_figure(name, row.get("on_grid", {}).get(name)))
        if held:
            cells.append(_figure(name, row.get("held", {}).get(name)))
        bought = row["pixels"]
        cells += [f"{bought['minimum']:g}", f"{bought['mean']:.1f}", f"{bought['maximum']:g}"]
        cells += _shape(row.get("shape")) if shapes else []
        cells += [f"{row['failed']:.1f}", f"{row['seconds'] / 60:.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _figure(name: str, found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "–"
    if name in ("miou", "accuracy"):
        return f"{100 * found['mean']:.1f} ± {100 * found['std']:.1f}"
    return f"{found['mean']:.4f} ± {found['std']:.4f}"


def _shape(found: Mapping[str, Any] | None) -> list[str]:
    if found is None:
        return ["–"] * 4
    shares = [
        "–" if found[name] is None else f"{100 * found[name]:.0f}" for name in ("border", "lattice")
    ]
    return [*shares, f"{found['distinct']:.0f}", f"{100 * found['empty']:.0f}"]
