"""The records that leak most, beside their releases and their best reconstructions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sfumato.privacy.audits.rows import Worst
from sfumato.report.common.numerals import number
from sfumato.report.common.pictures import Picture, Strip, png

ACROSS = 8
"""Pictures in a row."""


def worst_grid(worst: Worst, classes: Sequence[str]) -> list[list[Strip]]:
    """Groups of three strips, eight records each; empty where records are no pictures."""
    if worst.records is None or worst.releases is None or worst.reconstructions is None:
        return []
    records, releases, guesses = (
        part.detach().cpu().numpy().astype(np.float64)
        for part in (worst.records, worst.releases, worst.reconstructions)
    )
    if records.ndim != 4:
        return []
    low, high = min(0.0, float(records.min())), max(1.0, float(records.max()))
    groups = []
    for start in range(0, len(records), ACROSS):
        span = range(start, min(start + ACROSS, len(records)))
        strips = [_strip("Record", "in clear", records, span, low, high, worst, classes)]
        if releases.ndim == 4:
            least, most = (float(value) for value in np.quantile(releases, (0.005, 0.995)))
            about = "what the attacker sees"
            strips.append(_strip("Release", about, releases, span, least, most, worst, classes))
        about = "by the attack that did best"
        strips.append(_strip("Reconstruction", about, guesses, span, low, high, worst, classes))
        groups.append(strips)
    return groups


def _strip(
    title: str,
    about: str,
    batch: np.ndarray,
    span: range,
    low: float,
    high: float,
    worst: Worst,
    classes: Sequence[str],
) -> Strip:
    pictures = []
    for at in span:
        name = str(classes[worst.labels[at]])
        shows = f"{title} of record {worst.numbers[at]}, {name}"
        caption = f"{name}: {number(worst.leaks[at], 2)}"
        pictures.append(Picture(png(batch[at], low, high), shows, caption, worst.attacks[at]))
    return Strip(title, about, f"{number(low, 2)} to {number(high, 2)}", pictures)
