"""The figures of a pruned network's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from sfumato.report.common.labels import Label, place
from sfumato.report.common.numerals import short
from sfumato.report.common.palette import light
from sfumato.report.common.svg import Size, accuracy_axis, blank, legend
from sfumato.report.prune import paper

Results = Mapping[str, Any]


def front(results: Results, size: Size) -> Figure:
    """Error against multiplications, from the whole network to the smallest."""
    figure, (axes,) = blank(size)
    steps = results["steps"]
    chosen = [step for step in steps if step["step"] in results["front"]]
    axes.plot(*_points(steps), color=light("unscreened"), linewidth=0.9, label="validation error")
    axes.plot(
        *_points(chosen), color=light("ours"), marker="o", markersize=4, linestyle="none",
        markeredgewidth=0, label="the front",
    )  # fmt: skip
    labels = [_test(axes, results["before"], "before", "ceiling", "D", "before, test error")]
    labels.append(_test(axes, results["after"], "pruned", "ours", "*", "pruned, test error"))
    if results["scratch"] is not None:
        scratch = {**results["after"], **results["scratch"]}
        text = "same architecture from scratch, test error"
        labels.append(_test(axes, scratch, "from scratch", "isotropic", "X", text))
    if results["network"]["setting"] == paper.SETTING:
        labels += _published(axes, size)
    _axes(axes, results)
    legend(figure, axes, columns=1 if size.narrow else 2)
    spots = [(label.x, label.y) for label in labels]
    place(axes, labels, np.array([*spots, *zip(*_points(steps), strict=True)]))
    return figure


def architecture(results: Results, size: Size) -> Figure:
    """Neurons of every layer, before and after."""
    layers: Sequence[Mapping[str, Any]] = results["network"]["layers"]
    tall = Size(size.width, 0.9 + 0.32 * len(layers), size.narrow)
    figure, (axes,) = blank(tall)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    widest = max(layer["before"][1] for layer in layers)
    for row, layer in enumerate(layers):
        before, after = layer["before"][1], layer["after"][1]
        axes.barh(
            row,
            before,
            left=-before / 2,
            height=0.62,
            color=light("rule"),
            label=_once(row, "before"),
        )
        axes.barh(
            row, after, left=-after / 2, height=0.62, color=light("ours"), label=_once(row, "after")
        )
        text = str(before) if before == after else f"{before} → {after}"
        axes.text(0.53 * widest, row, text, va="center", color=light("ink"), fontsize=8.5)
    axes.set_yticks(range(len(layers)), [f"{layer['name']}  {layer['type']}" for layer in layers])
    axes.set_xticks([])
    axes.set_xlim(-0.52 * widest, 0.75 * widest)
    axes.invert_yaxis()
    legend(figure, axes, columns=2)
    return figure


def _once(row: int, text: str) -> str:
    return text if row == 0 else "_"


def _points(steps: Sequence[Mapping[str, Any]]) -> tuple[list[float], list[float]]:
    return [s["multiplications"] for s in steps], [100 * s["error"] for s in steps]


def _test(
    axes: Axes, one: Mapping[str, Any], name: str, colour: str, marker: str, text: str
) -> Label:
    x, y = one["multiplications"], 100 * one["test_error"]
    axes.plot(
        [x], [y], color=light(colour), marker=marker, linestyle="none", zorder=4,
        markersize=11 if marker == "*" else 7, markeredgewidth=0, label=text,
    )  # fmt: skip
    return Label(name, x, y, light(colour))


def _published(axes: Axes, size: Size) -> list[Label]:
    table = paper.TABLE
    axes.plot(
        [one.multiplications for one in table], [100 * one.error for one in table],
        color=light("mean"), marker="^", markersize=6, markeredgewidth=0, linestyle="none",
        label="published, test error",
    )  # fmt: skip
    return [
        Label(one.name, one.multiplications, 100 * one.error, light("mean"))
        for one in table
        if not size.narrow or one.name == paper.OURS
    ]


def _axes(axes: Axes, results: Results) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _magnitude(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("multiplications for one record")
    accuracy_axis(axes)
    axes.set_ylabel("error, %")
    tests = [results["before"], results["after"], results["scratch"] or results["after"]]
    shown = [100 * one["test_error"] for one in tests]
    first = 100 * results["steps"][0]["error"]
    # the last steps of a network that falls apart would press the rest to the bottom
    highest = max([*shown, 3 * first, 1.0])
    top = min(highest * 1.15, axes.get_ylim()[1])
    axes.set_ylim(0.0, max(top, 1.1 * max(shown)) or 1.0)
    axes.margins(x=0.1)


def _magnitude(value: float) -> str:
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{short(round(value / unit, 3))} {name}"
    return short(round(value, 3))
