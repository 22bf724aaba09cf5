"""The figures of a search for wrong labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sfumato.report.common.numerals import percent
from sfumato.report.common.palette import light
from sfumato.report.common.svg import Size, accuracy_axis, blank, legend
from sfumato.report.denoise.tables import groups, over_seeds

_LOOKS = (
    ("ours", "o"),
    ("isotropic", "X"),
    ("clean", "D"),
    ("mean", "s"),
    ("ceiling", "v"),
    ("obfuscated", "^"),
    ("unscreened", "P"),
    ("muted", "*"),
)


def accuracy_curves(results: Mapping[str, Any], size: Size) -> Figure:
    """Accuracy and calibration error against the share of wrong labels, one line per method."""
    tested = any(row["accuracy"] is not None for row in results["rows"])
    panels = [("accuracy", "accuracy, %", 100), ("calibration_error", "calibration error", 1)]
    if not tested:
        panels = [("average_precision", "average precision of the list", 1)]
    figure, axes = blank(size, rows=len(panels), share_y=False)
    for panel, (key, title, factor) in zip(axes, panels, strict=True):
        for at, method in enumerate(_methods(results)):
            _line(panel, results, method, key, factor, at)
        panel.set_title(title, loc="left")
        accuracy_axis(panel)
    axes[-1].set_xlabel("p, the share of labels asked to be made wrong, %")
    legend(figure, axes[0], columns=1 if size.narrow else 3)
    return figure


def _methods(results: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(row["method"] for row in results["rows"]))


def _line(
    axes: Axes, results: Mapping[str, Any], method: str, key: str, factor: float, at: int
) -> None:
    points = [
        (100 * rate, over_seeds(rows, key))
        for (rate, name), rows in groups(results).items()
        if name == method
    ]
    kept = [(x, entry) for x, entry in points if entry is not None]
    colour, marker = _LOOKS[at % len(_LOOKS)]
    axes.errorbar(
        [x for x, _ in kept],
        [factor * entry["mean"] for _, entry in kept],
        yerr=[factor * entry["std"] for _, entry in kept],
        color=light(colour),
        marker=marker,
        markersize=5.5,
        markeredgewidth=0,
        elinewidth=1.0,
        label=method,
    )


def found_curves(results: Mapping[str, Any], size: Size) -> Figure:
    """The share of wrong labels found by looking at the first so many of the list."""
    figure, (axes,) = blank(size)
    rate = results["headline"]["rate"]
    shown = [row for row in results["rows"] if row["rate"] == rate and row["curve"]]
    for at, method in enumerate(_methods(results)):
        curves = [row["curve"] for row in shown if row["method"] == method]
        if not curves:
            continue
        looked = 100 * np.array(curves[0]["looked"]) / results["data"]["train"]
        found = 100 * np.mean([curve["found"] for curve in curves], axis=0)
        colour, _ = _LOOKS[at % len(_LOOKS)]
        axes.plot(looked, found, color=light(colour), label=method)
    axes.plot([0, 100], [0, 100], color=light("muted"), linestyle=":", label="looking at random")
    axes.set_xlabel("looked at from the top of the list, % of all labels")
    title = "wrong labels found, %" + ("" if rate is None else f", at p = {percent(rate)}")
    axes.set_title(title, loc="left")
    accuracy_axis(axes)
    legend(figure, axes, columns=1 if size.narrow else 3)
    return figure
