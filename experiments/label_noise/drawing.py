"""The table's pictures: accuracy over p, studies as bars, losses by epoch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Panel = Callable[[Any], None]
_PAPER = {"se-snn": 95.17, "parallel": 81.04}


def draw(results: dict[str, Any], path: Path) -> None:
    """Write all that the results hold as one picture (SVG)."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "sfumato"  # the same file for the same figures
    from matplotlib import pyplot as plt

    panels = _panels(results)
    figure, axes = plt.subplots(1, len(panels), figsize=(6 * len(panels), 4.5), squeeze=False)
    for axis, panel in zip(axes[0], panels, strict=True):
        panel(axis)
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)


def _panels(results: dict[str, Any]) -> list[Panel]:
    panels: list[Panel] = []
    noises = dict.fromkeys(row["noise"] for row in results["rows"])
    for noise in noises:
        some = [row for row in results["rows"] if row["noise"] == noise]
        several = len({row["rate"] for row in some}) > 1
        title = f"{noise} noise"
        if several:
            panels.append(lambda axis, rows=some, title=title: _over_p(axis, rows, title))
        else:
            bars = [{**row, "label": row["method"]} for row in some]
            title = f"{title}, p = {some[0]['rate']:g}"
            panels.append(lambda axis, rows=bars, title=title: _bars(axis, rows, title))
    for study in results["studies"]:
        rows, title = study["rows"], study["title"]
        panels.append(lambda axis, rows=rows, title=title: _bars(axis, rows, title))
    if results["convergence"]:
        panels.append(lambda axis: _losses(axis, results["convergence"]))
    if results["pruned"]:
        rows, title = results["pruned"]["rows"], "pruned on wrong labels"
        panels.append(lambda axis, rows=rows, title=title: _bars(axis, rows, title))
    return panels


def _over_p(axis: Any, rows: list[dict[str, Any]], title: str) -> None:
    for number, method in enumerate(dict.fromkeys(row["method"] for row in rows)):
        some = sorted((r for r in rows if r["method"] == method), key=lambda row: row["rate"])
        style = {"marker": "o", "markersize": 3, "linewidth": 1, "color": f"C{number % 10}"}
        style["linestyle"] = "-" if "se-snn" in method else "--" if number < 10 else ":"
        means, stds = ([100 * r["accuracy"][k] for r in some] for k in ("mean", "std"))
        axis.errorbar([r["rate"] for r in some], means, stds, label=method, **style)
    for method, accuracy in _PAPER.items():
        axis.plot([0.4], [accuracy], "kx", markersize=7)
        axis.annotate(f"paper, {method}", (0.4, accuracy), (4, -9), textcoords="offset points")
    axis.set(xlabel="p", ylabel="accuracy, %", title=title)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=6, loc="lower left")


def _bars(axis: Any, rows: list[dict[str, Any]], title: str) -> None:
    labels = [row["label"] for row in rows][::-1]
    means, stds = ([100 * r["accuracy"][k] for r in rows][::-1] for k in ("mean", "std"))
    axis.barh(range(len(rows)), means, xerr=stds, height=0.6, color="C0", alpha=0.7)
    axis.set_yticks(range(len(rows)), labels, fontsize=7)
    low = min(m - s for m, s in zip(means, stds, strict=True))
    axis.set(xlabel="accuracy, %", title=title, xlim=(max(0.0, low - 5), 100))
    axis.grid(alpha=0.3, axis="x")


def _losses(axis: Any, found: list[dict[str, Any]]) -> None:
    for number, row in enumerate(found):
        stage, losses = list(row["losses"].items())[-1]
        name = row["method"] if len(row["losses"]) == 1 else f"{row['method']}, {stage}"
        axis.plot(range(1, len(losses) + 1), losses, label=name, color=f"C{number % 10}")
    axis.set(xlabel="epoch", ylabel="loss", title=f"losses at p = {found[0]['rate']:g}")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=6)
