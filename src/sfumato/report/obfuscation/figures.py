"""The figures of the page. Each takes what `results.json` holds and a size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sfumato.report.common.numerals import percent
from sfumato.report.common.palette import light
from sfumato.report.common.svg import Size, accuracy_axis, blank, ceiling_line, legend
from sfumato.report.obfuscation.baselines import isotropic_at_no_more_leak

Round = Mapping[str, Any]

_LINES = (  # key, what the legend says, colour, marker
    ("with_released", "clean part and released records", "ours", "o"),
    ("with_released_unscreened", "the same, without screening", "unscreened", "v"),
    ("obfuscated_test", "on obfuscated test records", "obfuscated", "s"),
    ("clean_only", "clean part only", "clean", "D"),
)


def accuracy_over_rounds(results: Mapping[str, Any], size: Size) -> Figure:
    """Accuracy against the share of clean records, one line per way of training."""
    rounds: Sequence[Round] = results["rounds"]
    figure, (axes,) = blank(size)
    across = np.array([100 * entry["fraction"] for entry in rounds])
    step = float(np.min(np.diff(across))) if len(across) > 1 else across[0]
    series = [line for line in _LINES if any(entry.get(line[0]) for entry in rounds)]
    for place_, (key, text, colour, marker) in enumerate(series):
        # error bars at one x would hide each other
        shift = 0.035 * step * (place_ - (len(series) - 1) / 2)
        _line(axes, across + shift, [entry.get(key) for entry in rounds], text, colour, marker)
    matched = [isotropic_at_no_more_leak(results, entry) for entry in rounds]
    if any(matched):
        _line(
            axes,
            across,
            [None if entry is None else entry["accuracy"] for entry in matched],
            "isotropic noise, no more leak",
            "isotropic",
            "X",
        )
    ceiling_line(axes, results["ceiling"]["mean"])
    axes.set_xticks(across, [percent(entry["fraction"]) for entry in rounds])
    axes.set_xlim(across[0] - 0.3 * step, across[-1] + 0.3 * step)
    axes.set_xlabel("clean part of the training records")
    accuracy_axis(axes)
    axes.set_ylabel("accuracy, %")
    legend(figure, axes, columns=1 if size.narrow else 2)
    return figure


def history(results: Mapping[str, Any], size: Size) -> Figure:
    """Objective and accuracy over the epochs of both steps of fitting."""
    entries: Sequence[Mapping[str, Any]] = results["history"]
    shown = [
        (key, text, colour)
        for key, text, colour in (
            ("task", "task loss", "clean"),
            ("objective", "obfuscation objective", "isotropic"),
            ("accuracy", "accuracy", "ours"),
        )
        if any(entry.get(key) is not None for entry in entries)
    ]
    figure, panels = blank(size, rows=len(shown), share_y=False)
    across = np.arange(1, len(entries) + 1)
    second = next((at for at, entry in zip(across, entries, strict=True) if entry["step"] == 2), 0)
    for panel, (key, text, colour) in zip(panels, shown, strict=True):
        values = [np.nan if entry.get(key) is None else entry[key] for entry in entries]
        panel.plot(across, values, color=light(colour), marker="o", markersize=3)
        panel.set_title(text, loc="left", color=light(colour))
        if second > 1:
            panel.axvline(float(second) - 0.5, color=light("muted"), linewidth=0.8, linestyle=":")
    panels[-1].set_xlim(0.5, len(entries) + 0.5)
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[-1].set_xlabel("epoch" + (", step 2 after the dotted line" if second > 1 else ""))
    return figure


def _line(
    axes: Axes,
    across: np.ndarray,
    entries: Sequence[Mapping[str, Any] | None],
    text: str,
    colour: str,
    marker: str,
) -> None:
    kept = [(x, entry) for x, entry in zip(across, entries, strict=True) if entry]
    axes.errorbar(
        [x for x, _ in kept],
        [100 * entry["mean"] for _, entry in kept],
        yerr=[100 * entry["std"] for _, entry in kept],
        color=light(colour),
        marker=marker,
        markersize=5.5,
        markeredgewidth=0,
        elinewidth=1.0,
        label=text,
    )
