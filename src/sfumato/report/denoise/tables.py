"""The tables of the page of a search for wrong labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from sfumato.obfuscation.figures import figure
from sfumato.report.common import numerals
from sfumato.report.common.numerals import grouped, number, percent
from sfumato.report.common.tables import Cell, Row, Table

_COLUMNS = (  # key, head, how it is written
    ("wrong", "labels wrong, %", numerals.accuracy),
    ("accuracy", "accuracy, %", numerals.accuracy),
    ("calibration_error", "calibration error", numerals.leak),
    ("average_precision", "average precision", numerals.leak),
    ("precision", "precision, %", numerals.accuracy),
    ("recall", "recall, %", numerals.accuracy),
    ("spread_auc", "AUC of the spread alone", numerals.leak),
)


def groups(results: Mapping[str, Any]) -> dict[tuple[Any, Any], list[Mapping[str, Any]]]:
    """The trainings of each share of wrong labels and method, over seeds."""
    found: dict[tuple[Any, Any], list[Mapping[str, Any]]] = {}
    ordered = sorted(results["rows"], key=lambda row: row["rate"] or 0.0)
    for row in ordered:
        found.setdefault((row["rate"], row["method"]), []).append(row)
    return found


def value(row: Mapping[str, Any], key: str) -> float | None:
    """A figure of a training, also one of how well it finds wrong labels."""
    return row[key] if key in row else (row["detection"] or {}).get(key)


def over_seeds(rows: Sequence[Mapping[str, Any]], key: str) -> dict[str, Any] | None:
    """Mean and spread of a figure; None where any training lacks it."""
    values = [value(row, key) for row in rows]
    if any(one is None for one in values):
        return None
    return figure(one for one in values if one is not None)


def quality_table(results: Mapping[str, Any]) -> Table:
    """What each method reaches and finds, share by share of wrong labels."""
    grouped_rows = groups(results)
    columns = [
        column
        for column in _COLUMNS
        if any(over_seeds(rows, column[0]) for rows in grouped_rows.values())
    ]
    table = Table(["method", *(head for _, head, _ in columns), "held wrong"])
    before: Any = object()
    for (rate, method), rows in grouped_rows.items():
        if rate != before and rate is not None:
            table.rows.append(Row(f"p = {percent(rate)}", "", []))
        before = rate
        cells: list[Cell] = [write(over_seeds(rows, key)) for key, _, write in columns]
        held = figure(row["flagged"] for row in rows)
        strong = (method, rate) == (results["headline"]["method"], results["headline"]["rate"])
        table.rows.append(Row(method, "", [*cells, grouped(round(held["mean"]))], strong))
    return table


def suspects_table(results: Mapping[str, Any]) -> Table:
    """The head of the list, with files where they have names."""
    rows = results["suspects"]
    named = any(row["file"] for row in rows)
    known = any("wrong" in row for row in rows)
    heads = ["record", "given", "looks like", "score", *(["file"] if named else [])]
    table = Table([*heads, *(["in truth"] if known else [])])
    files = short_files([row["file"] for row in rows])
    for row, file in zip(rows, files, strict=True):
        cells: list[Cell] = [row["given"], row["guessed"], number(row["score"], 2)]
        if named:
            cells.append(Markup("<code>{}</code>").format(file))
        if known:
            wrong = Markup("<strong>wrong</strong>")
            cells.append(wrong if row.get("wrong") else "right")
        table.rows.append(Row(str(row["record"]), "", cells))
    return table


def short_files(files: Sequence[str]) -> list[str]:
    """The files without the folders that all of them share; folder and name stay in any case."""
    parts = [file.split("/") for file in files]
    named = [one for one in parts if one != [""]]
    shared = 0
    for level in zip(*(one[:-2] for one in named), strict=False):
        if len(set(level)) > 1:
            break
        shared += 1
    return ["/".join(one[shared:]) for one in parts]
