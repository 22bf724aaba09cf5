"""The table's picture: the figure against pixels per picture, or against the price of one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.pixels.figures import headline


def draw(results: Mapping[str, Any], path: Path) -> None:
    """Write the budget curve, and beside it λ against figure and realised pixels if there is any.

    Oracles see the labels: the room up to them is shaded. Where the chosen pixels are looked at
    all together, it is a map for each row instead: how often a pixel is chosen.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "sfumato"  # the same file for the same figures
    from matplotlib import pyplot as plt

    shaped = [row for row in results["rows"] if "shape" in row]
    if shaped:
        _maps(plt, shaped, path)
        return
    about = results["descriptions"]
    priced = sorted(
        (about[row["row"]]["weight"], row)
        for row in results["rows"]
        if about[row["row"]]["weight"] is not None
    ) if _distinct(results) else []  # fmt: skip
    figure, axes = plt.subplots(
        1, 2 if priced else 1, figsize=(11 if priced else 6, 4), squeeze=False
    )
    _curves(axes[0][0], results)
    if priced:
        _prices(axes[0][1], priced)
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)


def _maps(plt: Any, rows: list[Any], path: Path) -> None:
    across = min(4, len(rows))
    down = -(-len(rows) // across)
    figure, axes = plt.subplots(down, across, figsize=(2.7 * across, 2.6 * down), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, row in zip(axes.flat, rows, strict=False):
        often = row["shape"]["often"]
        top = max(max(line) for line in often) or 1.0
        axis.imshow(often, cmap="magma", vmin=0, vmax=top, interpolation="nearest")
        least, mean, most = (row["pixels"][name] for name in ("minimum", "mean", "maximum"))
        bought = f"{mean:.0f}" if least == most else f"{least:g} to {most:g}, mean {mean:.0f}"
        axis.set_title(f"{row['row']}\n{bought} pixels", fontsize=7)
    figure.tight_layout()
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)


def _distinct(results: Mapping[str, Any]) -> bool:
    """Whether prices tell rows apart, so that they can be an axis."""
    about = results["descriptions"]
    prices = [about[row["row"]]["weight"] for row in results["rows"]]
    given = [price for price in prices if price is not None]
    return len(given) > 1 and len(set(given)) == len(given)


def _curves(axis: Any, results: Mapping[str, Any]) -> None:
    about = results["descriptions"]
    for number, name in enumerate(about):
        if about[name]["weight"] is not None:
            continue
        points = [
            (row["k"], found["mean"], found["std"])
            for row in results["rows"]
            if row["row"] == name and (found := headline(row)) is not None
        ]
        if not points:
            continue
        k, means, stds = zip(*sorted(points), strict=True)
        style = "--" if about[name]["oracle"] else "-"
        axis.errorbar(k, means, stds, label=name, fmt="o", linestyle=style, color=f"C{number % 10}")
        if about[name]["oracle"]:
            edge = 1.0 if results["rows"][0]["higher_is_better"] else 0.0
            axis.fill_between(k, means, edge, color=f"C{number % 10}", alpha=0.08)
    axis.set(xlabel="pixels per picture", ylabel=results["rows"][0]["headline"], xscale="log")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=6)


def _prices(axis: Any, priced: list[Any]) -> None:
    scored = [(weight, row) for weight, row in priced if headline(row) is not None]
    found = [headline(row) or {} for _, row in scored]
    axis.errorbar(
        [weight for weight, _ in scored],
        [each["mean"] for each in found],
        [each["std"] for each in found],
        fmt="o-",
        color="C0",
    )
    axis.set(xlabel="λ, the price of a pixel", ylabel=priced[0][1]["headline"], xscale="symlog")
    second = axis.twinx()
    bought = [row["pixels"] for _, row in priced]
    weights = [weight for weight, _ in priced]
    second.fill_between(
        weights, [b["minimum"] for b in bought], [b["maximum"] for b in bought], alpha=0.15
    )
    second.plot(weights, [b["mean"] for b in bought], "s--", color="C1", markersize=4)
    second.set(ylabel="pixels really bought: least, mean, most", yscale="symlog")
