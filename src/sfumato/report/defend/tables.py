"""The tables of a defence's page, and what they and the words read off the results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from sfumato.report.common.numerals import NOTHING, number, percent, short
from sfumato.report.common.tables import Cell, Row, Table

_BUDGET = ("loss", "steps", "restarts", "queries", "draws", "average")


def at_epsilon(found: Mapping[str, Any], epsilon: float) -> Mapping[str, Any]:
    """The level of a report whose radius is nearest to `epsilon`."""
    return min(found["levels"], key=lambda level: abs(level["epsilon"] - epsilon))


def front(found: Mapping[str, Any], shares: Mapping[str, Any]) -> Mapping[str, Any]:
    """The share of the prediction that the report is about."""
    return shares[found["prediction"]]


def worst_table(results: Mapping[str, Any]) -> Table:
    """The worst case at each radius, for each prediction, and without defence."""
    found, beside = results["robustness"], results["beside"]
    front_epsilon = at_epsilon(found, results["epsilon"])["epsilon"]
    kinds = list(found["clean"])
    heads = ["ε", *(kinds if len(kinds) > 1 else ["defended"])]
    table = Table(heads + (["without defence"] if beside else []))
    rows = [(0.0, found["clean"], beside and beside["clean"])]
    for level in found["levels"]:
        plain = beside and at_epsilon(beside, level["epsilon"])["worst"]
        rows.append((level["epsilon"], level["worst"], plain))
    for epsilon, shares, plain in rows:
        cells = [share(shares.get(kind)) for kind in kinds]
        if beside:
            cells.append(share(front(beside, plain)))
        about = "no attack" if epsilon == 0 else ""
        table.rows.append(Row(short(epsilon), about, cells, epsilon == front_epsilon))
    return table


def attacks_table(results: Mapping[str, Any]) -> Table:
    """Every attack with what it may spend and what it leaves, the strongest first."""
    found = results["robustness"]
    table = Table(["attack", "aimed at", "accuracy, %", "mean distance", "budget"])
    for level in found["levels"]:
        table.rows.append(Row(f"ε = {short(level['epsilon'])}", "", []))
        for row in sorted(level["attacks"], key=lambda row: _left(found, row)):
            cells: list[Cell] = [f"{row['target']} prediction", NOTHING, NOTHING, row["skipped"]]
            if not row["skipped"]:
                cells[1:] = [share(front(found, row["accuracy"])), number(row["distance"], 3),
                             _budget(row["budget"])]  # fmt: skip
            table.rows.append(Row(row["name"], row["kind"], cells))
    return table


def masking_table(results: Mapping[str, Any]) -> Table:
    """What the verdict on gradient masking rests on, beside the attacks."""
    found = results["robustness"]
    table = Table(["", "found"])
    for loss, value in found["zero_gradient"].items():
        title = f"Zero gradient, {loss.replace('_', '-')}"
        table.rows.append(Row(title, "share of records", [percent(round(value, 3))]))
    for attack, value in found.get("unbounded", {}).items():
        about = "with a radius that holds every record: 0 can be reached"
        table.rows.append(Row(f"Unbounded, {attack}", about, [share(value)]))
    for draws, value in found.get("convergence", {}).items():
        about = "accuracy under the margin attack"
        table.rows.append(Row(f"{draws} draws in each step", about, [share(value)]))
    return table


def certificates_table(results: Mapping[str, Any]) -> Table:
    """Certified accuracy at some radii, a column for each smoothed network."""
    rows: Sequence[Mapping[str, Any]] = results["certificates"]
    table = Table(["L2 radius", *(row["name"] for row in rows)])
    for radius in radii_of(rows):
        cells = [number(100 * certified(row, radius), 1) for row in rows]
        table.rows.append(Row(short(radius), "certified and right, %", cells))
    abstained = [row["predictions"].count(-1) / len(row["predictions"]) for row in rows]
    table.rows.append(Row("Abstained", "%", [number(100 * value, 1) for value in abstained]))
    settings = [f"σ = {short(row['sigma'])}, {row['n']} draws" for row in rows]
    table.rows.append(Row("Settings", f"alpha = {short(rows[0]['alpha'])}", settings))
    return table


def radii_of(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """Round radii up to the largest that was certified: multiples of σ."""
    sigma = max(row["sigma"] for row in rows)
    largest = max(max(row["radii"]) for row in rows)
    return [
        round(part * sigma, 6) for part in (0, 1, 2, 3, 4) if part < 2 or part * sigma <= largest
    ]


def certified(row: Mapping[str, Any], radius: float) -> float:
    """The share of records that are right and certified to at least `radius`."""
    pairs = zip(row["predictions"], row["labels"], row["radii"], strict=True)
    return sum(p == y and r >= radius for p, y, r in pairs) / len(row["labels"])


def share(value: Mapping[str, Any] | None) -> Cell:
    """In per cent, with its interval."""
    if value is None:
        return NOTHING
    mean, low, high = (number(100 * value[key], 1) for key in ("mean", "low", "high"))
    return Markup('<span class="value">{}</span> <span class="spread">[{}, {}]</span>').format(
        mean, low, high
    )


def _left(found: Mapping[str, Any], row: Mapping[str, Any]) -> float:
    return 2.0 if row["skipped"] else front(found, row["accuracy"])["mean"]


def _budget(budget: Mapping[str, Any]) -> str:
    shown = [(name, budget[name]) for name in _BUDGET if budget.get(name) is not None]
    return ", ".join(f"{name} {str(value).replace('_', '-')}" for name, value in shown)
