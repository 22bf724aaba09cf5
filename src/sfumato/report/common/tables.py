"""Tables and lists of settings, as plain rows of cells that a page's template writes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

from markupsafe import Markup

from sfumato.report.common.numerals import short

Cell = str | Markup


@final
@dataclass(frozen=True)
class Row:
    """A row: its title, a few words about it, its cells; `strong` ones are what to look at.

    A row without cells is the heading of those that follow.
    """

    title: str
    about: str
    cells: Sequence[Cell]
    strong: bool = False


@final
@dataclass(frozen=True)
class Table:
    """Column heads (the first stands over the titles) and rows."""

    heads: list[str]
    rows: list[Row] = field(default_factory=list)


def flat(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as dotted names and values, one line each."""
    lines: list[tuple[str, str]] = []
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            lines.extend(flat(value, f"{name}."))
        elif isinstance(value, (list, tuple)):
            lines.append((name, ", ".join(_plain(one) for one in value)))
        else:
            lines.append((name, _plain(value)))
    return lines


def _plain(value: Any) -> str:
    if value is None or value == {}:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return short(value) if isinstance(value, float) else str(value)
