"""Figures over seeds, and what they say in plain words."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

Figure = dict[str, float | int]


def figure(values: Iterable[float]) -> Figure:
    """Mean, standard deviation (N - 1; 0 for a single value) and number of the values."""
    listed = [float(v) for v in values]
    spread = float(np.std(listed, ddof=1)) if len(listed) > 1 else 0.0
    return {"mean": float(np.mean(listed)), "std": spread, "n": len(listed)}


def accuracy_at_leak(curve: Sequence[dict[str, Any]], leak: float) -> float | None:
    """The accuracy of a baseline where its leak is `leak`, between its two nearest settings.

    None where `leak` lies outside of the settings that were run.
    """
    points = sorted((entry["leak"]["mean"], entry["accuracy"]["mean"]) for entry in curve)
    for (low, below), (high, above) in itertools.pairwise(points):
        if low <= leak <= high:
            share = (leak - low) / (high - low) if high > low else 0.0
            return below + share * (above - below)
    return None


def verdict(results: dict[str, Any]) -> list[str]:
    """What the figures of an incremental training say, the worst news first."""
    lines = []
    for entry in results["rounds"]:
        lines += _against_isotropic(entry, results["baselines"])
        lines += _against_no_records(entry, results["baselines"])
        lines += _shortcut(entry, len(results["data"]["classes"]))
    wins = [line for line in lines if "wins" in line or "nothing" in line or "did not" in line]
    return wins + [line for line in lines if line not in wins]


def _against_isotropic(entry: dict[str, Any], baselines: dict[str, Any]) -> list[str]:
    curve = [b for b in baselines["isotropic"] if b["fraction"] == entry["fraction"]]
    if not curve:
        return []
    where = f"At {_percent(entry['fraction'])} clean"
    leak, own = entry["leak"]["mean"], entry["with_released_unscreened"]
    other = accuracy_at_leak(curve, leak)
    if other is None:
        return [
            f"{where}: the leak of {leak:.2f} lies outside of the isotropic noise that was run, "
            "so the two cannot be compared there."
        ]
    gain, noise = own["mean"] - other, own["std"]
    if abs(gain) <= max(noise, 1e-9):
        word = "Learned and isotropic noise are level"
        return [f"{where}, {word} at a leak of {leak:.2f} ({_points(gain)} ± {_points(noise)})."]
    winner = "learned" if gain > 0 else "isotropic"
    return [
        f"{where}, {winner} noise wins: at the same leak of {leak:.2f} it is "
        f"{_points(abs(gain))} more accurate ({_percent(max(own['mean'], other))} against "
        f"{_percent(min(own['mean'], other))}, both without screening)."
    ]


def _against_no_records(entry: dict[str, Any], baselines: dict[str, Any]) -> list[str]:
    where = f"At {_percent(entry['fraction'])} clean"
    best = max(entry["with_released"]["mean"], entry["with_released_unscreened"]["mean"])
    gain = best - entry["clean_only"]["mean"]
    lines = [
        f"{where}, released records raise the accuracy on clean test records by {_points(gain)} "
        f"to {_percent(best)}, at a leak of {entry['leak']['mean']:.2f}."
        if gain > 0
        else f"{where}, released records did not help: {_percent(entry['clean_only']['mean'])} "
        f"with the clean part alone, {_percent(best)} with them."
    ]
    mean = baselines.get("class_mean")
    if mean and mean["fraction"] == entry["fraction"] and mean["accuracy"]["mean"] >= best:
        lines.append(
            f"{where}, class mean + noise trains as well ({_percent(mean['accuracy']['mean'])}): "
            "the released records carried nothing that their labels do not."
        )
    return lines


def _shortcut(entry: dict[str, Any], classes: int) -> list[str]:
    said, chance = entry["constant_image"]["mean"], 1 / max(2, classes)
    if said <= 2 * chance:
        return []
    return [
        f"At {_percent(entry['fraction'])} clean, the model reads the label off the noise in "
        f"{_percent(said)} of the constant-image tests: part of its accuracy on releases is a "
        "shortcut."
    ]


def _percent(share: float) -> str:
    digits = 0 if math.isclose(share * 100, round(share * 100)) and share < 0.5 else 1
    return f"{100 * share:.{digits}f} %"


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"
