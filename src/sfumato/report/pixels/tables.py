"""The tables of the page of a comparison of selectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from markupsafe import Markup

from sfumato.obfuscation.figures import figure
from sfumato.report.common.numerals import NOTHING, grouped, number, short
from sfumato.report.common.tables import Cell, Row, Table

Cells = Sequence[Mapping[str, Any]]

_FIGURES = (  # key, head, factor, digits
    ("miou", "mIoU, %", 100, 1),
    ("accuracy", "right pixels, %", 100, 1),
    ("rmse", "RMSE", 1, 4),
    ("mae", "mean absolute error", 1, 4),
)


def names_of(results: Mapping[str, Any]) -> list[str]:
    """All selectors, in their order."""
    return list(dict.fromkeys(cell["contender"] for cell in results["cells"]))


def cells_of(results: Mapping[str, Any], name: str, k: int, weight: float | None = None) -> Cells:
    """The cells of a selector at a budget, or at a price."""
    return [
        cell
        for cell in results["cells"]
        if cell["contender"] == name and cell["k"] == k and cell["weight"] == weight
    ]


def weights_of(results: Mapping[str, Any], name: str) -> list[float]:
    """The prices that a selector was trained with, the lowest first."""
    found = {cell["weight"] for cell in results["cells"] if cell["contender"] == name}
    return sorted(one for one in found if one is not None)


def over_seeds(cells: Cells, key: str, held: bool = False) -> dict[str, Any] | None:
    """Mean and spread of a figure; None where any cell lacks it."""
    found = [(cell["held"] if held else cell["evaluation"])["figures"].get(key) for cell in cells]
    if not found or any(one is None for one in found):
        return None
    return figure(one for one in found if one is not None)


def headline_of(results: Mapping[str, Any], name: str, k: int) -> dict[str, Any] | None:
    """The headline figure of a selector at a budget, as the comparison takes it."""
    rows = [
        row
        for row in results["comparison"]
        if row["k"] == k and name in (row["selector"], row["over"])
    ]
    for row in rows:
        return {"mean": row["score"] if row["selector"] == name else row["other"]}
    return over_seeds(cells_of(results, name, k), results["headline"])


def scores_table(results: Mapping[str, Any]) -> Table:
    """What each selector reaches, budget by budget."""
    known = {key for cell in results["cells"] for key in cell["evaluation"]["figures"]}
    columns = [column for column in _FIGURES if column[0] in known]
    table = Table(
        ["selector", *(_head(results, column) for column in columns), "seconds of training"]
    )
    several = len(results["budgets"]) > 1
    for k in results["budgets"]:
        if several:
            table.rows.append(Row(f"k = {grouped(k)}", "", []))
        for name in names_of(results):
            _add_scores(table, results, name, k, columns)
    return table


def _add_scores(
    table: Table, results: Mapping[str, Any], name: str, k: int, columns: Sequence[Any]
) -> None:
    strong = name == results["selector"]
    for weight in weights_of(results, name) or [None]:
        rows = cells_of(results, name, k, weight)
        if not rows:
            continue
        seconds = number(mean(row["seconds"] for row in rows), 0)
        about = "sees the labels" if rows[0]["oracle"] else ""
        about = about if weight is None else f"λ = {short(weight)}, as it buys"
        cells: list[Cell] = [_written(over_seeds(rows, c[0]), c) for c in columns]
        table.rows.append(Row(name, about, [*cells, seconds], strong))
        if all("held" in row for row in rows):
            cells = [_written(over_seeds(rows, c[0], held=True), c) for c in columns]
            table.rows.append(
                Row(name, f"λ = {short(weight or 0)}, held to {k}", [*cells, ""], strong)
            )


def _head(results: Mapping[str, Any], column: Sequence[Any]) -> str:
    unit = results["unit"] if column[0] in ("rmse", "mae") else ""
    return f"{column[1]}, {unit}" if unit else column[1]


def _written(found: Mapping[str, Any] | None, column: Sequence[Any]) -> Cell:
    if found is None:
        return NOTHING
    _, _, factor, digits = column
    spread = f"({found['n']})"
    if found["n"] > 1:
        spread = f"± {number(factor * found['std'], digits)} {spread}"
    return Markup('<span class="value">{}</span> <span class="spread">{}</span>').format(
        number(factor * found["mean"], digits), spread
    )


def gains_table(results: Mapping[str, Any]) -> Table:
    """How much better each selector is than grid and random pixels."""
    share = results["headline"] == "miou"
    unit = "points" if share else "% less error"
    table = Table(["selector", "over", "k", f"gain, {unit}", "95 % interval", "so it is"])
    for row in results["comparison"]:
        factor = 100 if share else 100 / row["other"] if row["other"] else 0.0
        ends = "–"
        if row["low"] is not None:
            ends = f"{number(factor * row['low'], 1)} to {number(factor * row['high'], 1)}"
        gain = number(factor * row["gain"]["mean"], 1)
        says = Markup("<strong>better</strong>") if row["says"] == "better" else row["says"]
        cells: list[Cell] = [row["over"], grouped(row["k"]), gain, ends, says]
        table.rows.append(Row(row["selector"], "", cells, row["selector"] == results["selector"]))
    return table


def spent_table(results: Mapping[str, Any]) -> Table:
    """What was really bought per picture, and how much of it gave no label."""
    heads = ["selector", "fewest", "mean", "most", "gave no label, %"]
    table = Table(heads)
    for k in results["budgets"]:
        if len(results["budgets"]) > 1:
            table.rows.append(Row(f"k = {grouped(k)}", "", []))
        for name in names_of(results):
            for weight in weights_of(results, name) or [None]:
                rows = cells_of(results, name, k, weight)
                if rows:
                    about = "" if weight is None else f"λ = {short(weight)}"
                    table.rows.append(Row(name, about, _spent(rows), name == results["selector"]))
    return table


def _spent(rows: Cells) -> list[Cell]:
    pixels = [row["evaluation"]["pixels"] for row in rows]
    bought = mean(one["mean"] for one in pixels)
    failed = mean(row["evaluation"]["failed"] for row in rows)
    return [
        short(min(one["minimum"] for one in pixels)),
        number(bought, 1),
        short(max(one["maximum"] for one in pixels)),
        number(100 * failed / bought, 1) if bought else NOTHING,
    ]


def price_rows(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """For each λ what was bought, over seeds, and the error with its spread."""
    rows = []
    for name in names_of(results):
        for weight in weights_of(results, name):
            cells = [cell for cell in results["cells"]
                     if cell["contender"] == name and cell["weight"] == weight]  # fmt: skip
            pixels = [cell["evaluation"]["pixels"] for cell in cells]
            rows.append(
                {
                    "name": name,
                    "weight": weight,
                    "error": _error(cells),
                    "minimum": min(one["minimum"] for one in pixels),
                    "mean": mean(one["mean"] for one in pixels),
                    "maximum": max(one["maximum"] for one in pixels),
                }
            )
    return rows


def _error(cells: Cells) -> dict[str, Any] | None:
    """The squared error, or of classes the share of wrong pixels."""
    errors = []
    for cell in cells:
        found = cell["evaluation"]["figures"]
        if not found:
            return None
        errors.append(found["rmse"] ** 2 if "rmse" in found else 1 - found["accuracy"])
    return figure(errors)
