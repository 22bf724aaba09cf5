"""Figures over seeds, and what they say in plain words."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

Figure = dict[str, float | int]
Line = tuple[int, str]  # how good the news is, and the sentence

_LOSS, _WARNING, _LEVEL, _GAIN = range(4)


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
    lines: list[Line] = []
    for entry in results["rounds"]:
        lines += _against_isotropic(entry, results["baselines"])
        lines += _against_few(entry, results["baselines"])
        lines += _against_no_records(entry, results["baselines"])
        lines += _shortcut(entry, len(results["data"]["classes"]))
    if results["rounds"] and results["rounds"][0]["clean_only"]["n"] == 1:
        text = "All figures come from a single seed: differences of a point may be chance."
        lines.append((_WARNING, text))
    return [text for _, text in sorted(lines, key=lambda line: line[0])]


def _against_isotropic(entry: dict[str, Any], baselines: dict[str, Any]) -> list[Line]:
    curve = [b for b in baselines["isotropic"] if b["fraction"] == entry["fraction"]]
    if not curve:
        return []
    where = f"At {_percent(entry['fraction'])} clean"
    leak, own = entry["leak"]["mean"], entry["with_released_unscreened"]
    other = accuracy_at_leak(curve, leak)
    if other is None:
        return [_beside_the_curve(where, leak, own, curve)]
    gain, noise = own["mean"] - other, own["std"]
    if abs(gain) <= max(noise, 1e-9):
        word = "Learned and isotropic noise are level"
        text = f"{where}, {word} at a leak of {leak:.2f} ({_points(gain)} ± {_points(noise)})."
        return [(_LEVEL, text)]
    news, winner = (_GAIN, "learned") if gain > 0 else (_LOSS, "isotropic")
    text = (
        f"{where}, {winner} noise wins: at the same leak of {leak:.2f} it is "
        f"{_points(abs(gain))} more accurate ({_percent(max(own['mean'], other))} against "
        f"{_percent(min(own['mean'], other))}, both without screening)."
    )
    return [(news, text)]


def _beside_the_curve(
    where: str, leak: float, own: dict[str, Any], curve: Sequence[dict[str, Any]]
) -> Line:
    """No isotropic noise has this leak, but one may be better, or worse, in both respects."""
    for entry in sorted(curve, key=lambda entry: -entry["accuracy"]["mean"]):
        other, its_leak = entry["accuracy"]["mean"], entry["leak"]["mean"]
        if its_leak <= leak and other >= own["mean"]:
            news, winner, gain = _LOSS, "isotropic", other - own["mean"]
        elif its_leak >= leak and own["mean"] - other > own["std"]:
            news, winner, gain = _GAIN, "learned", own["mean"] - other
        else:
            continue
        return news, (
            f"{where}, {winner} noise wins: beside isotropic noise of σ = {entry['sigma']:g} it "
            f"leaks {min(leak, its_leak):.2f} instead of {max(leak, its_leak):.2f} and is "
            f"{_points(gain)} more accurate, both without screening."
        )
    return _WARNING, (
        f"{where}: the leak of {leak:.2f} lies outside of the isotropic noise that was run, "
        "so the two cannot be compared there."
    )


def _against_few(entry: dict[str, Any], baselines: dict[str, Any]) -> list[Line]:
    """Few records under plain noise, where they train as well and leak less than all of them."""
    own, leak = entry["with_released_unscreened"]["mean"], entry["leak"]["mean"]
    better = [
        row
        for row in baselines.get("few") or ()
        if row["fraction"] == entry["fraction"]
        and row["accuracy"]["mean"] >= own
        and row["leak"]["mean"] <= leak
    ]
    if not better:
        return []
    best = min(better, key=lambda row: row["leak"]["mean"])
    each = best["leak_released"]["mean"]
    text = (
        f"At {_percent(entry['fraction'])} clean, {_percent(best['share'])} of the records under "
        f"isotropic noise of σ = {best['sigma']:g} train as well as all of them under learned "
        f"noise ({_percent(best['accuracy']['mean'])}). They leak {best['leak']['mean']:.2f} over "
        f"all records, since the others leak nothing, and {each:.2f} each, where learned noise "
        f"leaks {leak:.2f} of every record. "
    )
    if each <= leak:
        return [(_LOSS, text + "Prefer it: no record is worse off.")]
    return [(_WARNING, text + "The fewer are exposed more: which counts is for you to say.")]


def _against_no_records(entry: dict[str, Any], baselines: dict[str, Any]) -> list[Line]:
    where = f"At {_percent(entry['fraction'])} clean"
    best = max(entry["with_released"]["mean"], entry["with_released_unscreened"]["mean"])
    gain = best - entry["clean_only"]["mean"]
    lines: list[Line] = [
        (
            _GAIN,
            f"{where}, released records raise the accuracy on clean test records by "
            f"{_points(gain)} to {_percent(best)}, at a leak of {entry['leak']['mean']:.2f}.",
        )
        if gain > 0
        else (
            _LOSS,
            f"{where}, released records did not help: {_percent(entry['clean_only']['mean'])} "
            f"with the clean part alone, {_percent(best)} with them.",
        )
    ]
    mean = baselines.get("class_mean")
    if mean and mean["fraction"] == entry["fraction"] and mean["accuracy"]["mean"] >= best:
        text = (
            f"{where}, class mean + noise trains as well ({_percent(mean['accuracy']['mean'])}): "
            "the released records carried nothing that their labels do not."
        )
        lines.append((_LOSS, text))
    return lines


def _shortcut(entry: dict[str, Any], classes: int) -> list[Line]:
    said, chance = entry["constant_image"]["mean"], 1 / max(2, classes)
    # Twice chance; with two or three classes half-way to certainty, which twice chance would be.
    if said <= min(2 * chance, (1 + chance) / 2):
        return []
    text = (
        f"At {_percent(entry['fraction'])} clean, the model reads the label off the noise in "
        f"{_percent(said)} of the constant-image tests: part of its accuracy on releases is a "
        "shortcut."
    )
    return [(_WARNING, text)]


def _percent(share: float) -> str:
    digits = 0 if math.isclose(share * 100, round(share * 100)) and share < 0.5 else 1
    return f"{100 * share:.{digits}f} %"


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"
