"""Records and what an attack made of them, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sfumato.report.common.numerals import number
from sfumato.report.common.pictures import Picture, Strip, png


def example_strips(tensors: Mapping[str, Any], classes: Sequence[str]) -> list[Strip]:
    """Record, adversarial example and their difference; empty where records are no pictures."""
    original, found = tensors.get("original"), tensors.get("adversarial")
    if original is None or found is None or original.ndim != 4 or not len(original):
        return []
    names = [str(classes[at]) for at in tensors["labels"].tolist()]
    said = [str(classes[at]) for at in tensors["predicted"].tolist()]
    change = found.astype(np.float64) - original
    most = max(float(np.abs(change).max()), 1e-6)
    low, high = min(0.0, float(original.min())), max(1.0, float(original.max()))
    return [
        _strip("Record", "its class", original, low, high, names),
        _strip("Adversarial", "what the network says", found, low, high, said),
        _strip("Difference", "grey is none", change, -most, most, [""] * len(names)),
    ]


def _strip(
    title: str, about: str, batch: np.ndarray, low: float, high: float, captions: list[str]
) -> Strip:
    pictures = [
        Picture(png(one, low, high), f"{title} {at + 1}, {caption}".rstrip(", "), caption)
        for at, (one, caption) in enumerate(zip(batch, captions, strict=True))
    ]
    return Strip(title, about, f"{number(low, 2)} to {number(high, 2)}", pictures)
