"""The table's pictures: accuracy over ε, over the budget, over the certified radius."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experiments.robustness.figures import at
from experiments.robustness.page import TABLES


def draw(results: dict[str, Any], path: Path) -> None:
    """Write every table of the page as a panel of one picture (SVG), a group in each row."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "sfumato"  # the same file for the same figures
    from matplotlib import pyplot as plt

    rows = results["rows"]
    groups = list(dict.fromkeys(row["group"] for row in rows))
    shown = [table for table in TABLES if any(at(row, table[0]) for row in rows)]
    size = (4.5 * max(1, len(shown)), 4.0 * len(groups))
    figure, axes = plt.subplots(len(groups), max(1, len(shown)), figsize=size, squeeze=False)
    for line, group in zip(axes, groups, strict=True):
        some = [row for row in rows if row["group"] == group]
        for axis, (prefix, title, unit) in zip(line, shown, strict=False):
            _panel(axis, some, prefix)
            axis.set(title=title, xlabel=unit.rstrip(" ="), ylabel="accuracy, %", ylim=(-2, 102))
        line[0].set_ylabel(f"{group}\naccuracy, %")
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)


def _panel(axis: Any, rows: list[dict[str, Any]], prefix: str) -> None:
    for number, row in enumerate(rows):
        found = at(row, prefix)
        if not found:
            continue
        points = sorted((float(e), one["mean"], one["std"]) for e, one in found.items())
        x, means, stds = zip(*points, strict=True)
        style = {"marker": "o", "markersize": 3, "linewidth": 1, "color": f"C{number % 10}"}
        style["linestyle"] = "-" if row["method"] == "se-snn" else "--"
        percent = [[100 * value for value in values] for values in (means, stds)]
        axis.errorbar(x, percent[0], percent[1], label=row["label"], **style)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=6)
