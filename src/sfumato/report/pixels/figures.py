"""The figures of the page of a comparison of selectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from sfumato.report.common.numerals import grouped, short
from sfumato.report.common.palette import light
from sfumato.report.common.svg import Size, blank, legend
from sfumato.report.pixels.tables import cells_of, names_of, over_seeds, price_rows

_LOOKS = (
    ("ours", "o"),
    ("obfuscated", "^"),
    ("mean", "s"),
    ("unscreened", "P"),
    ("muted", "*"),
    ("ink", "v"),
)
_FIXED = {"grid": ("isotropic", "X"), "random": ("clean", "D"), "oracle": ("ceiling", "")}


def looks(results: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Colour and marker of every selector: grid and random look alike on every page."""
    others = [name for name in names_of(results) if name not in _FIXED]
    found = {name: _LOOKS[at % len(_LOOKS)] for at, name in enumerate(others)}
    return {name: _FIXED.get(name) or found[name] for name in names_of(results)}


def budget_curves(results: Mapping[str, Any], size: Size) -> Figure:
    """The headline figure against pixels per picture; the oracle's headroom is shaded."""
    figure, (axes,) = blank(size)
    key, factor = results["headline"], 100 if results["headline"] == "miou" else 1
    lines = {name: _line(results, name, key, factor) for name in names_of(results)}
    oracles = {cell["contender"] for cell in results["cells"] if cell["oracle"]}
    _shade(axes, lines, oracles, results["higher_is_better"])
    for name, (colour, marker) in looks(results).items():
        points = lines[name]
        axes.errorbar(
            list(points),
            [mean for mean, _ in points.values()],
            yerr=[spread for _, spread in points.values()],
            color=light(colour),
            marker=marker,
            linestyle="--" if name in oracles else "-",
            markersize=5.5,
            markeredgewidth=0,
            elinewidth=1.0,
            label=f"{name}, sees the labels" if name in oracles else name,
        )
    axes.set_xscale("log")
    axes.set_xticks(results["budgets"])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: grouped(round(value))))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("pixels per picture")
    axes.set_title(_metric(results), loc="left")
    legend(figure, axes, columns=1 if size.narrow else 3)
    return figure


def _line(
    results: Mapping[str, Any], name: str, key: str, factor: float
) -> dict[int, tuple[float, float]]:
    found = {k: over_seeds(cells_of(results, name, k), key) for k in results["budgets"]}
    return {k: (factor * one["mean"], factor * one["std"]) for k, one in found.items() if one}


def _shade(
    axes: Axes,
    lines: Mapping[str, Mapping[int, tuple[float, float]]],
    oracles: set[str],
    higher_is_better: bool,
) -> None:
    """From the best that does not see the labels to the oracle."""
    pick = max if higher_is_better else min
    for oracle in oracles:
        ks = list(lines[oracle])
        best = [
            pick((line[k][0] for name, line in lines.items() if name not in oracles and k in line),
                 default=lines[oracle][k][0])
            for k in ks
        ]  # fmt: skip
        top = [lines[oracle][k][0] for k in ks]
        axes.fill_between(ks, best, top, color=light("ceiling"), alpha=0.15, linewidth=0)


def score_dots(results: Mapping[str, Any], size: Size) -> Figure:
    """The headline figure of every seed, selector by selector; a bar is the mean."""
    figure, (axes,) = blank(size)
    key, factor = results["headline"], 100 if results["headline"] == "miou" else 1
    marks, texts = looks(results), []
    for cell_name in names_of(results):
        cells = [cell for cell in results["cells"] if cell["contender"] == cell_name]
        groups = {cell["weight"]: [] for cell in cells}
        for cell in cells:
            figures = (cell.get("held") or cell["evaluation"])["figures"]
            if key in figures:
                groups[cell["weight"]].append(factor * figures[key])
        for weight, values in groups.items():
            at, colour = len(texts), light(marks[cell_name][0])
            texts.append(cell_name if weight is None else f"{cell_name}, λ = {short(weight)}")
            axes.plot(values, [at] * len(values), "o", color=colour, markersize=5, alpha=0.7)
            if values:
                axes.plot([np.mean(values)], [at], "|", color=colour, markersize=18)
    axes.set_yticks(range(len(texts)), texts)
    axes.invert_yaxis()
    axes.margins(y=0.25)
    axes.grid(True, axis="x")
    axes.xaxis.set_major_locator(MaxNLocator(4 if size.narrow else 7))
    axes.set_xlabel(_metric(results))
    return figure


def price_curves(results: Mapping[str, Any], size: Size) -> Figure:
    """Test error against λ, and the pixels that were really bought on a second axis."""
    figure, (axes,) = blank(size)
    rows = [row for row in price_rows(results) if row["error"] is not None]
    at = range(len(rows))
    axes.errorbar(
        at,
        [row["error"]["mean"] for row in rows],
        yerr=[row["error"]["std"] for row in rows],
        color=light("ours"), marker="o", markersize=5.5, markeredgewidth=0, elinewidth=1.0,
        label="test error",
    )  # fmt: skip
    axes.set_xticks(at, [short(row["weight"]) for row in rows])
    axes.set_xlabel("λ, the price of a pixel")
    squared = results["headline"] == "rmse"
    axes.set_ylabel("test L2 (mean squared error)" if squared else "wrong pixels, share")
    axes.set_ylim(bottom=0)
    other = axes.twinx()
    other.patch.set_alpha(0.0)
    other.spines["top"].set_visible(False)
    other.tick_params(length=0)
    means = [row["mean"] for row in rows]
    other.errorbar(
        at,
        means,
        yerr=[
            [row["mean"] - row["minimum"] for row in rows],
            [row["maximum"] - row["mean"] for row in rows],
        ],
        color=light("isotropic"), marker="X", linestyle="--", markersize=5.5, markeredgewidth=0,
        elinewidth=1.0, capsize=3, label="pixels per picture: fewest, mean, most",
    )  # fmt: skip
    other.set_yscale("symlog", linthresh=1)
    other.set_ylim(bottom=-0.1)
    other.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(round(value, 6))))
    other.set_ylabel("pixels bought per picture")
    handles = [one.get_legend_handles_labels() for one in (axes, other)]
    figure.legend(
        [handle for pair in handles for handle in pair[0]],
        [text for pair in handles for text in pair[1]],
        loc="outside lower left", ncols=1 if size.narrow else 2, frameon=False,
    )  # fmt: skip
    return figure


def _metric(results: Mapping[str, Any]) -> str:
    if results["headline"] == "miou":
        return "mIoU, %, of pixels that were not bought"
    unit = f", {results['unit']}" if results["unit"] else ""
    return f"RMSE{unit} of pixels that were not bought"
