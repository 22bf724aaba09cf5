"""Small labels beside points, put where they cover neither data nor each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

# (x, y) in points from the point, with the text's own anchor
_PLACES = [
    (7, 0, "left", "center"),
    (0, 7, "center", "bottom"),
    (0, -7, "center", "top"),
    (-7, 0, "right", "center"),
    (6, 5, "left", "bottom"),
    (6, -5, "left", "top"),
    (-6, 5, "right", "bottom"),
    (-6, -5, "right", "top"),
    (0, 14, "center", "bottom"),
    (0, -14, "center", "top"),
    (14, 10, "left", "bottom"),
    (14, -10, "left", "top"),
    (-14, 10, "right", "bottom"),
    (-14, -10, "right", "top"),
]


@final
@dataclass(frozen=True)
class Label:
    """A text for the point (`x`, `y`) in data units."""

    text: str
    x: float
    y: float
    colour: str


def place(axes: Axes, labels: Sequence[Label], avoid: np.ndarray) -> list[Annotation]:
    """Write each label at the free place nearest to its point.

    Args:
        axes: Axes whose limits are settled; later changes would move the points.
        labels: What to write. The first ones choose first.
        avoid: Points that no label may cover, `[n, 2]` in data units.
    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    figure.draw_without_rendering()  # settles the layout, so that pixels can be compared
    renderer = canvas.get_renderer()
    taken = axes.transData.transform(avoid) if len(avoid) else np.empty((0, 2))
    boxes: list[Bbox] = []
    written = []
    for label in labels:
        note = axes.annotate(
            label.text,
            (label.x, label.y),
            xytext=(0, 0),
            textcoords="offset points",
            color=label.colour,
            fontsize=8.5,
            annotation_clip=False,
        )
        note.set_in_layout(False)
        costs = []
        for rank, spot in enumerate(_PLACES):
            _move(note, spot)
            box = note.get_window_extent(renderer)
            costs.append((_cost(box, taken, boxes, axes.bbox), rank))
        _move(note, _PLACES[min(costs)[1]])
        boxes.append(note.get_window_extent(renderer))
        written.append(note)
    return written


def _move(note: Annotation, spot: tuple[int, int, str, str]) -> None:
    x, y, horizontal, vertical = spot
    note.set_position((x, y))
    note.set_horizontalalignment(horizontal)  # type: ignore[arg-type]
    note.set_verticalalignment(vertical)  # type: ignore[arg-type]


def _cost(box: Bbox, points: np.ndarray, boxes: Sequence[Bbox], frame: Bbox) -> float:
    padded = box.padded(3.0)
    near = box.padded(5.0)  # points are drawn as markers of about that radius
    outside = max(
        frame.x0 - padded.x0, padded.x1 - frame.x1, frame.y0 - padded.y0, padded.y1 - frame.y1, 0.0
    )
    covered = sum(near.contains(x, y) for x, y in points)
    overlapping = sum(padded.overlaps(other) for other in boxes)
    return 100.0 * overlapping + 10.0 * covered + outside
