"""The figures of a defence's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sfumato.report.common.palette import light
from sfumato.report.common.svg import Size, accuracy_axis, blank, legend
from sfumato.report.defend.tables import certified, front


def accuracy_curves(results: Mapping[str, Any], size: Size) -> Figure:
    """Accuracy against ε: the worst case in front, every attack behind it."""
    figure, (axes,) = blank(size)
    found, beside = results["robustness"], results["beside"]
    _single_attacks(axes, found)
    if beside is not None:
        _worst(axes, beside, "without defence, worst case", "isotropic", "X")
    _worst(axes, found, "worst case", "ours", "o")
    axes.axvline(results["epsilon"], color=light("muted"), linewidth=0.8, linestyle=":")
    axes.set_xlim(left=0)
    axes.set_ylim(0, 102)
    axes.set_xlabel("ε, in units of the records")
    axes.set_ylabel("accuracy, %")
    accuracy_axis(axes)
    legend(figure, axes, columns=1 if size.narrow else 3)
    return figure


def certified_curves(results: Mapping[str, Any], size: Size) -> Figure:
    """Certified accuracy against the L2 radius, one line for each smoothed network."""
    figure, (axes,) = blank(size)
    rows: Sequence[Mapping[str, Any]] = results["certificates"]
    largest = max(max(row["radii"]) for row in rows) or 1.0
    across = np.linspace(0, 1.05 * largest, 200)
    for row, colour, style in zip(rows, ("ours", "isotropic"), ("-", "--"), strict=False):
        values = [100 * certified(row, float(radius)) for radius in across]
        axes.plot(across, values, color=light(colour), linestyle=style, label=row["name"])
    axes.set_xlim(left=0)
    axes.set_ylim(0, 102)
    axes.set_xlabel("L2 radius, in units of the records")
    axes.set_ylabel("certified and right, %")
    accuracy_axis(axes)
    legend(figure, axes, columns=1 if size.narrow else 2)
    return figure


def _worst(axes: Axes, found: Mapping[str, Any], text: str, colour: str, marker: str) -> None:
    points = [(0.0, front(found, found["clean"]))]
    points += [(level["epsilon"], front(found, level["worst"])) for level in found["levels"]]
    values = [100 * share["mean"] for _, share in points]
    axes.errorbar(
        [epsilon for epsilon, _ in points],
        values,
        yerr=[
            [value - 100 * share["low"] for value, (_, share) in zip(values, points, strict=True)],
            [100 * share["high"] - value for value, (_, share) in zip(values, points, strict=True)],
        ],
        color=light(colour),
        marker=marker,
        markersize=5.5,
        markeredgewidth=0,
        elinewidth=1.0,
        label=text,
    )


def _single_attacks(axes: Axes, found: Mapping[str, Any]) -> None:
    """A thin line for every attack; one of them stands in the legend for all."""
    lines: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for level in found["levels"]:
        for row in level["attacks"]:
            if not row["skipped"]:
                point = level["epsilon"], 100 * front(found, row["accuracy"])["mean"]
                lines.setdefault((row["name"], row["target"]), []).append(point)
    for number, points in enumerate(lines.values()):
        across, up = zip(*points, strict=True)
        text = "each attack alone" if number == 0 else "_"
        axes.plot(across, up, color=light("clean"), linewidth=0.8, alpha=0.7, label=text)
