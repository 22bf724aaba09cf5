"""The pictures of a run: what was released, what was recovered, what the selection passes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sfumato.report.common.numerals import number
from sfumato.report.common.pictures import Picture, Strip, png

_ROWS = (
    ("original", "Original", "the clean record"),
    ("release", "Release", "under its label"),
    ("location", "Location μ", "release without noise"),
    ("scale", "Scale σ", "strength of the noise"),
    ("reconstruction", "Reconstruction", "by the decoder"),
)


def grid(tensors: dict[str, np.ndarray], classes: Sequence[str]) -> list[Strip]:
    """The rows of the picture grid; empty where the records are no pictures."""
    names = [_name(classes, label) for label in tensors.get("labels", np.zeros(0)).tolist()]
    strips = []
    for key, title, about in _ROWS:
        batch = tensors.get(key)
        if batch is None or batch.ndim != 4 or not batch.size:
            continue
        low, high = _range(_like(tensors, key), key)
        pictures = [
            Picture(png(one, low, high), f"{title} of record {at + 1}, {name}", name)
            for at, (one, name) in enumerate(zip(batch, names, strict=False))
        ]
        scale = f"{number(low, 2)} to {number(high, 2)}"
        strips.append(Strip(title, about, scale, pictures))
    return strips


def selection_maps(tensors: dict[str, np.ndarray], classes: Sequence[str]) -> list[Picture]:
    """One picture per class of the learned selection, or of its channels, or of its one value."""
    selection = tensors.get("selection")
    if selection is None or not selection.size:
        return []
    pictures = []
    for at, values in enumerate(selection.astype(np.float64)):
        name = _name(classes, at)
        planes = values if values.ndim == 3 else values.reshape(1, 1, -1)
        picture = planes.mean(axis=0, keepdims=True)  # channels are averaged, not mixed to colours
        note = f"{number(float(values.min()), 2)}–{number(float(values.max()), 2)}"
        if values.size == 1:
            note = number(float(values.mean()), 2)
        pictures.append(Picture(png(picture, 0.0, 1.0), f"{name}: {note}", name, note))
    return pictures


def _like(tensors: dict[str, np.ndarray], key: str) -> np.ndarray:
    # a reconstruction is shown on the scale of the records: its overshoot must not turn it grey
    return tensors.get("original", tensors[key]) if key == "reconstruction" else tensors[key]


def _range(batch: np.ndarray, key: str) -> tuple[float, float]:
    if key in ("original", "reconstruction"):
        return min(0.0, float(batch.min())), max(1.0, float(batch.max()))
    low, high = (float(value) for value in np.quantile(batch.astype(np.float64), (0.005, 0.995)))
    return (0.0 if key == "scale" else low), max(high, low + 1e-6)


def _name(classes: Sequence[str], label: int) -> str:
    return str(classes[label]) if 0 <= label < len(classes) else str(label)
