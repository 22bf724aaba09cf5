"""From a matplotlib figure to an SVG that lives inside of a page."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeGuard, final

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from sfumato.report.common.numerals import short
from sfumato.report.common.palette import follow_scheme, light

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: readable, selectable, in the page's own typeface
    "svg.hashsalt": "sfumato",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib and is wide: others take less room
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.labelsize": 9.0,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "text.color": light("ink"),
    "axes.labelcolor": light("muted"),
    "axes.edgecolor": light("rule"),
    "xtick.color": light("rule"),
    "ytick.color": light("rule"),
    "xtick.labelcolor": light("muted"),
    "ytick.labelcolor": light("muted"),
    "grid.color": light("rule"),
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
}


@final
@dataclass(frozen=True)
class Size:
    """Inches, and whether the figure is for a narrow screen."""

    width: float
    height: float
    narrow: bool = False


WIDE = Size(7.4, 4.0)
NARROW = Size(3.7, 4.2, narrow=True)


@contextmanager
def style() -> Iterator[None]:
    """Draw in the page's style, and leave matplotlib's own settings as they were."""
    with matplotlib.rc_context(_STYLE):
        yield


def blank(
    size: Size, rows: int = 1, columns: int = 1, *, share_y: bool = True
) -> tuple[Figure, list[Axes]]:
    """An empty figure and its axes, in reading order. Call it inside of `style`."""
    figure = Figure(figsize=(size.width, size.height), layout="constrained")
    FigureCanvasAgg(figure)
    figure.patch.set_alpha(0.0)
    axes = figure.subplots(rows, columns, sharex=True, sharey=share_y, squeeze=False).ravel()
    for one in axes:
        one.patch.set_alpha(0.0)
        one.grid(True, axis="y")
        one.tick_params(length=0)
    return figure, list(axes)


def accuracy_axis(axes: Axes) -> None:
    """Ticks of an axis of percentages."""
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(round(value, 6))))


def ceiling_line(axes: Axes, mean: float) -> None:
    """The accuracy of training on all records clean, as a level."""
    axes.axhline(
        100 * mean, color=light("ceiling"), linestyle="--", linewidth=1.2, label="all records clean"
    )


def legend(figure: Figure, axes: Axes, columns: int) -> None:
    """Put the legend under the axes, where it can cover no data."""
    entries = list(zip(*axes.get_legend_handles_labels(), strict=True))
    measured = [(handle.lines[0], text) for handle, text in entries if _has_bars(handle)]
    levels = [(handle, text) for handle, text in entries if not _has_bars(handle)]
    if entries:
        figure.legend(
            *zip(*measured, *levels, strict=True),
            loc="outside lower left",
            ncols=columns,
            frameon=False,
            borderpad=0.2,
            columnspacing=1.4,
            handlelength=1.8,
        )


def _has_bars(handle: object) -> TypeGuard[ErrorbarContainer]:
    return isinstance(handle, ErrorbarContainer)


def inline(draw: Callable[[Size], Figure], size: Size, name: str, title: str) -> str:
    """Draw at `size` and return an SVG element to be put into a page as it is."""
    buffer = io.StringIO()
    with style():
        draw(size).savefig(buffer, format="svg", transparent=True)
    return _tidy(buffer.getvalue(), f"{name}-{'narrow' if size.narrow else 'wide'}", title)


def _tidy(svg: str, prefix: str, title: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.S)
    # names of remote vocabularies mean nothing inside of HTML
    svg = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", svg)
    svg = svg.replace("xlink:href", "href")
    # several figures share one page, so that their ids must not meet
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'href="#', f'href="#{prefix}-', svg)
    svg = re.sub(r"url\(#", f"url(#{prefix}-", svg)
    head, rest = svg.split(">", 1)
    head = re.sub(r'\s(width|height|version)="[^"]*"', "", head)
    return f'{head} role="img" aria-label="{title}">{follow_scheme(rest)}'
