"""How figures are written: mean ± standard deviation (number of seeds)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from markupsafe import Markup

Figure: TypeAlias = Mapping[str, Any]  # {"mean", "std", "n"}, as in results.json

NOTHING = Markup('<span class="muted">–</span>')


def number(value: float, digits: int) -> str:
    """`value` with `digits` decimals, a real minus sign and no minus zero."""
    text = f"{value:.{digits}f}"
    if not float(text):
        text = text.lstrip("-")
    return text.replace("-", "−")


def short(value: float) -> str:
    """`value` as it would be said: 0.5, 2, 0.05."""
    return f"{value:g}".replace("-", "−")


def grouped(count: int) -> str:
    """A count with thin spaces between its thousands."""
    return f"{count:,}".replace(",", "\u202f")


def percent(share: float) -> str:
    """A share as a percentage: 0.05 is 5 %."""
    return f"{short(round(100 * share, 6))} %"


def accuracy(figure: Figure | None) -> Markup:
    """In per cent with one decimal: 93.1 ± 0.4 (3)."""
    return _cell(figure, 100.0, 1)


def leak(figure: Figure | None) -> Markup:
    """As a share with three decimals: 0.312 ± 0.008 (3)."""
    return _cell(figure, 1.0, 3)


def _cell(figure: Figure | None, factor: float, digits: int) -> Markup:
    if figure is None:
        return NOTHING
    spread = f"({figure['n']})"
    if figure["n"] > 1:  # one seed has no spread, and 0.0 would look like a very small one
        spread = f"± {number(factor * figure['std'], digits)} {spread}"
    return Markup('<span class="value">{}</span> <span class="spread">{}</span>').format(
        number(factor * figure["mean"], digits), spread
    )
