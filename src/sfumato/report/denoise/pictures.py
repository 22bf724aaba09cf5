"""The pictures of a search for wrong labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sfumato.report.common.numerals import number
from sfumato.report.common.pictures import Picture, Strip, png


def suspect_grid(tensors: Mapping[str, np.ndarray], results: Mapping[str, Any]) -> list[Picture]:
    """The suspicious records with their labels and what they look like; empty without pictures."""
    batch = tensors.get("suspects")
    if batch is None:
        return []
    low, high = _ends(batch)
    pictures = []
    for one, row in zip(batch, results["suspects"], strict=False):
        caption = f"{row['given']} → {row['guessed']}"
        note = number(row["score"], 2)
        if "wrong" in row:
            note += ", wrong" if row["wrong"] else ", right"
        pictures.append(Picture(png(one, low, high), f"record {row['record']}", caption, note))
    return pictures


def certainty_grid(tensors: Mapping[str, np.ndarray], results: Mapping[str, Any]) -> list[Strip]:
    """The records that the network is most and least certain of (spec 4, fig. 3c)."""
    strips = []
    for key, about in (("most", "Most certain"), ("least", "Least certain")):
        batch = tensors.get(key)
        if batch is None:
            return []
        low, high = _ends(batch)
        names = [str(results["data"]["classes"][at]) for at in results["certainty"][key]]
        pictures = [
            Picture(png(one, low, high), f"{about}, given as {name}", name)
            for one, name in zip(batch, names, strict=False)
        ]
        strips.append(Strip(about, "with the label as given", "", pictures))
    return strips


def _ends(batch: np.ndarray) -> tuple[float, float]:
    return min(0.0, float(batch.min())), max(1.0, float(batch.max()))
