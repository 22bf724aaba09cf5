from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.text import Text

from sfumato.report.common.svg import NARROW, WIDE, Size, inline, style
from sfumato.report.obfuscation import figures
from sfumato.report.obfuscation.trade_off import trade_off
from tests.report import sample

Draw = Callable[[dict[str, Any], Size], Figure]


def every_fraction() -> dict[str, Any]:
    results = sample.training()
    results["baselines"]["isotropic"] = [
        *sample.isotropic(0.05),
        *sample.isotropic(0.1, 0.01),
        *sample.isotropic(0.15, 0.02),
    ]
    return results


def one_round() -> dict[str, Any]:
    results = sample.training()
    return {**results, "rounds": results["rounds"][:1], "baselines": {}}


CASES = [
    (figures.accuracy_over_rounds, every_fraction()),
    (trade_off, sample.training()),
    (trade_off, every_fraction()),
    (trade_off, one_round()),
    (figures.history, sample.fitting()),
]


def drawn_texts(figure: Figure) -> list[Text]:
    """Every text that is painted; ticks beyond the limits of their axis are not."""
    beyond = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
            beyond |= {tick.label1 for tick in ticks}
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    return [text for text in texts if text.get_text() and text not in beyond]


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize(("draw", "results"), CASES)
def test_nothing_is_cut_off_or_covered(draw: Draw, results: dict[str, Any], size: Size) -> None:
    with style():
        figure = draw(results, size)
        figure.draw_without_rendering()
        canvas = figure.canvas
        assert isinstance(canvas, FigureCanvasAgg)
        renderer = canvas.get_renderer()
        page = figure.bbox.padded(1.0)
        for text in drawn_texts(figure):
            box = text.get_window_extent(renderer)
            inside = page.contains(box.x0, box.y0) and page.contains(box.x1, box.y1)
            assert inside, text.get_text()
        for legend in figure.legends:
            box = legend.get_window_extent(renderer)
            assert not any(box.overlaps(axes.get_window_extent(renderer)) for axes in figure.axes)


@pytest.mark.parametrize("results", [sample.training(), every_fraction()])
def test_labels_leave_the_points_free(results: dict[str, Any]) -> None:
    with style():
        figure = trade_off(results, WIDE)
        figure.draw_without_rendering()
        canvas = figure.canvas
        assert isinstance(canvas, FigureCanvasAgg)
        for axes in figure.axes:
            boxes = [note.get_window_extent(canvas.get_renderer()) for note in axes.texts]
            drawn = [line for line in axes.lines if line.get_marker() in ("o", "X", "^", "v")]
            points = np.concatenate([axes.transData.transform(line.get_xydata()) for line in drawn])
            assert boxes
            assert not any(box.contains(x, y) for box in boxes for x, y in points)
            pairs = [(a, b) for at, a in enumerate(boxes) for b in boxes[:at]]
            assert not any(a.overlaps(b) for a, b in pairs)


def test_the_curve_names_every_sigma() -> None:
    svg = inline(lambda size: trade_off(sample.training(), size), WIDE, "t", "Trade-off")
    for text in ("σ 0.25", "σ 0.5", "σ 1", "σ 2", "5 %", "10 %", "15 %", "class mean + noise"):
        assert f">{text}<" in svg


def test_isotropic_noise_is_compared_at_no_more_leak() -> None:
    results = sample.training()
    with style():
        (axes,) = figures.accuracy_over_rounds(results, WIDE).axes
    handles, labels = axes.get_legend_handles_labels()
    shown = handles[labels.index("isotropic noise, no more leak")]
    assert isinstance(shown, ErrorbarContainer)
    # σ = 0.5 would be more accurate and leaks 0.46 where the learned noise leaks 0.38
    assert shown.lines[0].get_ydata() == pytest.approx([93.1])


def test_an_inline_figure_follows_the_scheme_and_needs_nothing_else() -> None:
    before = dict(matplotlib.rcParams)
    svg = inline(
        lambda size: figures.accuracy_over_rounds(sample.training(), size), NARROW, "acc", "A"
    )
    assert svg.startswith("<svg")
    assert "var(--ours)" in svg
    assert "http" not in svg
    assert 'id="acc-narrow-' in svg
    assert dict(matplotlib.rcParams) == before
