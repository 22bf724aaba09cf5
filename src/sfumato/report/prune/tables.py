"""The tables of a pruned network's page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from sfumato.report.common.numerals import NOTHING, grouped, number
from sfumato.report.common.tables import Cell, Row, Table
from sfumato.report.prune import paper

Results = Mapping[str, Any]
FRONT_ROWS = 24
"""So many rows of the front are shown at most."""

_COSTS = (
    ("multiplications", "Multiplications", "for one record"),
    ("parameters", "Parameters", "weights and biases"),
    ("activations", "Activations", "values that a run stores"),
)


def costs_table(results: Results) -> Table:
    """What the network costs and what it gets wrong, before and after."""
    before, after = results["before"], results["after"]
    table = Table(["", "before", "after", "left, %"])
    for key, name, about in _COSTS:
        counts: list[Cell] = [grouped(before[key]), grouped(after[key])]
        share = number(100 * after[key] / before[key], 2)
        table.rows.append(Row(name, about, [*counts, share], strong=key == "multiplications"))
    for key, name, about in (
        ("test_error", "Test error, %", "records that nothing was chosen by"),
        ("validation_error", "Validation error, %", "records held out of the training records"),
    ):
        errors: list[Cell] = [number(100 * before[key], 2), number(100 * after[key], 2)]
        table.rows.append(Row(name, about, [*errors, NOTHING], strong=key == "test_error"))
    scratch = results["scratch"]
    if scratch is not None:
        about = f"the same small architecture, {grouped(scratch['steps'])} steps"
        cells: list[Cell] = [NOTHING, number(100 * scratch["test_error"], 2), NOTHING]
        table.rows.append(Row("Test error from scratch, %", about, cells))
    return table


def layers_table(results: Results) -> Table:
    """Inputs and outputs of every layer."""
    table = Table(["layer", "kernel", "inputs", "outputs", "weights left, %"])
    for layer in results["network"]["layers"]:
        kernel = " × ".join(map(str, layer["kernel"])) or NOTHING
        (inputs, outputs), (fewer, less) = layer["before"], layer["after"]
        left = number(100 * fewer * less / (inputs * outputs), 1)
        cells: list[Cell] = [kernel, _change(inputs, fewer), _change(outputs, less), left]
        table.rows.append(Row(layer["name"], layer["type"], cells))
    return table


def speed_table(results: Results) -> Table:
    """Milliseconds of a forward pass."""
    table = Table(["records at once", "before, ms", "after, ms", "faster by"])
    for one in results["speed"]:
        cells: list[Cell] = [number(one[key], 3) for key in ("before_ms", "after_ms")]
        table.rows.append(Row(str(one["batch"]), "", [*cells, f"{number(one['ratio'], 2)} ×"]))
    return table


def front_table(results: Results) -> Table:
    """The steps that no smaller network equals in error, thinned out where there are many."""
    steps = [step for step in results["steps"] if step["step"] in results["front"]]
    every = max(1, -(-len(steps) // FRONT_ROWS))
    shown = [
        step
        for place, step in enumerate(steps)
        if place % every == 0 or step["step"] == results["after"]["step"] or step is steps[-1]
    ]
    table = Table(["step", "multiplications", "parameters", "activations", "validation error, %"])
    for step in shown:
        counts: list[Cell] = [grouped(step[key]) for key, _, _ in _COSTS]
        chosen = step["step"] == results["after"]["step"]
        cells: list[Cell] = [*counts, number(100 * step["error"], 2)]
        table.rows.append(Row(str(step["step"]), "chosen" if chosen else "", cells, chosen))
    return table


def published_table(results: Results) -> Table | None:
    """Spec 4's table 1, with this run beside it; None for another network or other data."""
    if results["network"]["setting"] != paper.SETTING:
        return None
    table = Table(["method", "size, %", "multiplications, M", "memory, %", "test error, %"])
    for one in paper.TABLE:
        cells: list[Cell] = [
            number(100 * one.size, 2),
            number(one.multiplications / 1e6, 3),
            number(100 * one.activations, 2),
            number(100 * one.error, 1),
        ]
        about = "spec 4" if one.name == paper.OURS else ""
        table.rows.append(Row(one.name, about, cells))
    before, after = results["before"], results["after"]
    cells = [
        number(100 * after["parameters"] / before["parameters"], 2),
        number(after["multiplications"] / 1e6, 3),
        number(100 * after["activations"] / before["activations"], 2),
        number(100 * after["test_error"], 2),
    ]
    table.rows.append(Row("This run", "one seed", cells, strong=True))
    return table


def _change(before: int, after: int) -> Cell:
    if before == after:
        return str(before)
    return Markup("{} → <strong>{}</strong>").format(before, after)
