"""The trade-off figure: accuracy against leak, the learned noise among its baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from sfumato.report.common.labels import Label, place
from sfumato.report.common.numerals import percent, short
from sfumato.report.common.palette import light
from sfumato.report.common.svg import Size, accuracy_axis, blank, ceiling_line, legend
from sfumato.report.obfuscation.baselines import (
    class_mean,
    few,
    fractions_with_baselines,
    isotropic,
)

Round = Mapping[str, Any]


def trade_off(results: Mapping[str, Any], size: Size) -> Figure:
    """Accuracy against leak, with a panel per clean part that has baselines."""
    fractions = fractions_with_baselines(results) or [results["rounds"][0]["fraction"]]
    rows, columns = (len(fractions), 1) if size.narrow else (1, len(fractions))
    tall = Size(size.width, size.height + 2.3 * (rows - 1), size.narrow)
    figure, panels = blank(tall, rows, columns)
    shown = [_rounds_of(results, fraction, len(fractions) == 1) for fraction in fractions]
    for panel, fraction, rounds in zip(panels, fractions, shown, strict=True):
        _curves(panel, results, fraction, rounds)
        if columns > 1 or panel is panels[-1]:
            panel.set_xlabel("leak (less is better)")
        if panel is panels[0] or size.narrow:
            panel.set_ylabel("accuracy on clean test records, %")
        if len(fractions) > 1:
            panel.set_title(f"clean part {percent(fraction)}", loc="left", color=light("ink"))
    _leak_axis(panels[0])
    legend(figure, panels[0], columns=1 if size.narrow else 2)
    for panel, fraction, rounds in zip(panels, fractions, shown, strict=True):
        _name_points(panel, results, fraction, rounds)
    return figure


def _rounds_of(results: Mapping[str, Any], fraction: float, alone: bool) -> list[Round]:
    """The rounds that a panel shows: its own, or all where it is the only panel."""
    return [entry for entry in results["rounds"] if alone or entry["fraction"] == fraction]


def _curves(
    axes: Axes, results: Mapping[str, Any], fraction: float, rounds: Sequence[Round]
) -> None:
    _isotropic_curve(axes, isotropic(results, fraction))
    mean = class_mean(results, fraction)
    if mean is not None:
        look = {"color": light("mean"), "marker": "^", "label": "class mean + noise"}
        _point(axes, mean["leak"], mean["accuracy"], **look)
    for number, one in enumerate(few(results, fraction)):
        look = {"color": light("isotropic"), "marker": "D", "markerfacecolor": light("paper")}
        named = {} if number else {"label": "only records worth releasing, isotropic noise"}
        _point(axes, one["leak"], one["accuracy"], **look, **named)
    for entry in rounds:
        same = entry["fraction"] == fraction
        look: dict[str, Any] = {"color": light("ours"), "marker": "o", "zorder": 3}
        look["markerfacecolor"] = light("ours" if same else "paper")
        if same:
            look["label"] = "learned noise, by clean part"
        _point(axes, entry["leak"], entry["with_released"], **look)
        if same:
            _same_part(axes, entry, f", {percent(fraction)}" if len(rounds) > 1 else "")
    ceiling_line(axes, results["ceiling"]["mean"])
    accuracy_axis(axes)
    axes.margins(x=0.12, y=0.14)


def _same_part(axes: Axes, entry: Round, which: str) -> None:
    """What only the round of the baselines' own clean part is shown with."""
    if entry.get("with_released_unscreened"):
        look = {"color": light("unscreened"), "marker": "v"}
        text = "the same, without screening"
        _point(axes, entry["leak"], entry["with_released_unscreened"], label=text, **look)
    level, text = 100 * entry["clean_only"]["mean"], f"clean part only{which}"
    axes.axhline(level, color=light("clean"), linewidth=1.2, label=text)


def _isotropic_curve(axes: Axes, isotropic: Sequence[Mapping[str, Any]]) -> None:
    if isotropic:
        axes.errorbar(
            [entry["leak"]["mean"] for entry in isotropic],
            [100 * entry["accuracy"]["mean"] for entry in isotropic],
            xerr=[entry["leak"]["std"] for entry in isotropic],
            yerr=[100 * entry["accuracy"]["std"] for entry in isotropic],
            color=light("isotropic"),
            marker="X",
            markersize=7,
            markeredgewidth=0,
            elinewidth=0.9,
            label="isotropic noise of scale σ",
        )


def _point(axes: Axes, leak: Mapping[str, Any], accuracy: Mapping[str, Any], **look: Any) -> None:
    axes.errorbar(
        leak["mean"],
        100 * accuracy["mean"],
        xerr=leak["std"],
        yerr=100 * accuracy["std"],
        markersize=7,
        elinewidth=0.9,
        linestyle="none",
        **look,
    )


def _leak_axis(axes: Axes) -> None:
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(round(value, 6))))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    low, high = axes.get_xlim()  # shared by all panels; no leak at all is what to compare with
    axes.set_xlim(min(low, -0.05 * high), max(high, 0.05))


def _name_points(
    axes: Axes, results: Mapping[str, Any], fraction: float, rounds: Sequence[Round]
) -> None:
    ours = [
        (percent(entry["fraction"]), entry["leak"], entry["with_released"], light("ours"))
        for entry in rounds
    ]
    curve = [
        (f"σ {short(entry['sigma'])}", entry["leak"], entry["accuracy"], light("isotropic"))
        for entry in isotropic(results, fraction)
    ]
    curve += [
        (f"{percent(one['share'])}, σ {short(one['sigma'])}", one["leak"], one["accuracy"],
         light("isotropic"))
        for one in few(results, fraction)
    ]  # fmt: skip
    labels = [
        Label(text, leak["mean"], 100 * accuracy["mean"], colour)
        for text, leak, accuracy, colour in ours + curve
    ]
    place(axes, labels, _covered(axes, results, fraction, rounds))


def _covered(
    axes: Axes, results: Mapping[str, Any], fraction: float, rounds: Sequence[Round]
) -> np.ndarray:
    """Every spot of a panel that a label must leave free, in data units."""
    curve = isotropic(results, fraction)
    same = [entry for entry in rounds if entry["fraction"] == fraction]
    shown = [(one["leak"], one["accuracy"]) for one in [*curve, *few(results, fraction)]]
    shown += [(entry["leak"], entry["with_released"]) for entry in rounds]
    shown += [
        (entry["leak"], entry["with_released_unscreened"])
        for entry in same
        if entry.get("with_released_unscreened")
    ]
    mean = class_mean(results, fraction)
    if mean is not None:
        shown.append((mean["leak"], mean["accuracy"]))
    crosses = [_cross(leak, accuracy) for leak, accuracy in shown]
    points = [np.array([one["leak"]["mean"], 100 * one["accuracy"]["mean"]]) for one in curve]
    between = [_segment(start, end) for start, end in pairwise(points)]
    left, right = axes.get_xlim()
    levels = [
        100 * level["mean"]
        for level in [results["ceiling"], *(entry["clean_only"] for entry in same)]
    ]
    lines = [_segment(np.array([left, y]), np.array([right, y])) for y in levels]
    return np.concatenate([*crosses, *between, *lines])


def _cross(leak: Mapping[str, Any], accuracy: Mapping[str, Any]) -> np.ndarray:
    """A point and its error bars."""
    centre = np.array([leak["mean"], 100 * accuracy["mean"]])
    across, up = np.array([leak["std"], 0.0]), np.array([0.0, 100 * accuracy["std"]])
    bars = [_segment(centre - arm, centre + arm) for arm in (across, up)]
    return np.concatenate(bars)


def _segment(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Spots on a straight line, close to each other, `[n, 2]`."""
    return start + np.linspace(0.0, 1.0, 41)[:, None] * (end - start)
