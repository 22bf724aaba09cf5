"""From cells to figures: leaks of what is released and of all, and what isotropic noise leaks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from sfumato.obfuscation.figures import figure

Curve = list[tuple[float, float]]  # (accuracy, leak), the accuracy growing


def collect(
    table: dict[str, Any], points: Sequence[Any], served: Sequence[Any], seeds: Sequence[int]
) -> dict[str, Any]:
    """The rows of both halves of the table, with what isotropic noise leaks at their accuracy."""
    ceiling = figure(table[f"full/seed-{seed}"]["accuracy"] for seed in seeds)
    training = [_row(point, [_trained(table, point, seed) for seed in seeds]) for point in points]
    inference = [_row(point, [_served(table, point, seed) for seed in seeds]) for point in served]
    for rows in (training, inference):
        _compare(rows)
    return {
        "ceiling": ceiling,
        "clean_only": figure(table[f"clean/seed-{seed}"]["accuracy"] for seed in seeds),
        "training": training,
        "inference": inference,
        "merit": _merit(training, ceiling["mean"]),
    }


def _row(point: Any, of_seeds: list[dict[str, float]]) -> dict[str, Any]:
    figures = {key: figure(one[key] for one in of_seeds) for key in of_seeds[0]}
    chosen = {"share": point.share, "policy": point.policy} if point.share < 1 else {}
    learner = {"learner": point.learner} if point.learner != "plain" else {}
    settings = {**point.settings, **chosen, **learner}
    return {"method": point.method, "settings": settings, **figures}


def _trained(table: dict[str, Any], point: Any, seed: int) -> dict[str, float]:
    """Accuracy of the training, and the leaks given that some records stay at home."""
    attack = table[f"attack/{point.attack}/seed-{seed}"]
    out = _released(table[f"clean/seed-{seed}"], point, len(attack["errors"]["class_mean"]), seed)
    accuracy = table[f"training/{point.name}/seed-{seed}"]["accuracy"]
    return {"accuracy": accuracy, **_leaks(attack, out)}


def _served(table: dict[str, Any], point: Any, seed: int) -> dict[str, float]:
    cell = table[f"inference/{point.name}/seed-{seed}"]
    out = np.ones(len(cell["errors"]["class_mean"]), dtype=bool)
    return {"accuracy": cell["accuracy"], **_leaks(cell, out)}


def _released(clean: dict[str, Any], point: Any, count: int, seed: int) -> np.ndarray:
    """Which of the attacked records the policy would have released."""
    if point.share >= 1:
        return np.ones(count, dtype=bool)
    hard = point.policy == "hard" or (point.policy == "auto" and clean["on_rest"] >= 0.8)
    if hard:
        threshold = clean["thresholds"][str(round(100 * point.share))]
        return np.asarray(clean["margins"]) <= threshold
    return np.random.default_rng(seed).random(count) < point.share


def _leaks(attack: dict[str, Any], out: np.ndarray) -> dict[str, float]:
    """The leak of all records, of those that are released, and of the worst twentieth of these.

    What is not released counts as recovered to its class mean. The strongest attacker is the one
    with the largest leak of what is released.
    """
    errors = {name: np.asarray(values) for name, values in attack["errors"].items()}
    label_only = errors.pop("class_mean")
    total = label_only[out].sum()
    best = min(errors, key=lambda name: errors[name][out].sum())
    gained = (label_only - errors[best]) * out
    own = (gained / np.maximum(label_only, 0.01 * label_only.mean()))[out]
    leaks = {
        "leak": gained.sum() / label_only.sum(),
        "leak_released": gained.sum() / total if total else 0.0,
        "leak_95": np.quantile(own, 0.95) if total else 0.0,
    }
    figures = attack["attacks"]
    if "ssim" in figures[best]:
        leaks["ssim"] = figures[best]["ssim"]
    if "linkage" in figures:
        leaks["linkage"] = figures["linkage"]["top1"]
    return {name: float(value) for name, value in leaks.items()}


def _compare(rows: list[dict[str, Any]]) -> None:
    """Add to each row the leak of isotropic noise at its accuracy, and the ratio to it."""
    curve = frontier([row for row in rows if row["method"] == "isotropic"])
    for row in rows:
        level = leak_at(curve, row["accuracy"]["mean"])
        row["isotropic_leak"] = level
        row["ratio"] = row["leak"]["mean"] / level if level else None
        row["ratio_released"] = row["leak_released"]["mean"] / level if level else None


def frontier(rows: list[dict[str, Any]], leak: str = "leak") -> Curve:
    """The points that no other one beats in both accuracy and leak."""
    points = sorted((row["accuracy"]["mean"], row[leak]["mean"]) for row in rows)
    kept: Curve = []
    for accuracy, value in reversed(points):
        if not kept or value < kept[-1][1]:
            kept.append((accuracy, value))
    return kept[::-1]


def leak_at(curve: Curve, accuracy: float) -> float | None:
    """The leak of a curve at an accuracy, between its two nearest points; None beyond its ends."""
    for (low, below), (high, above) in itertools.pairwise(curve):
        if low <= accuracy <= high:
            return below + (accuracy - low) / max(high - low, 1e-12) * (above - below)
    return None


def _merit(rows: list[dict[str, Any]], ceiling: float) -> list[dict[str, Any]]:
    """The mean leak over the useful accuracies, within 3 points of the ceiling, method by method.

    Below the accuracies that a method was run at it could always be run with more noise, so its
    least leak counts there; above them it does not reach, and the part that it covers is told.
    """
    grid = np.linspace(ceiling - 0.03, ceiling, 61)
    found = []
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == method]
        entry: dict[str, Any] = {"method": method}
        for name in ("leak", "leak_released"):
            values = [_within(frontier(own, name), accuracy) for accuracy in grid]
            reached = [value for value in values if value is not None]
            entry[name] = float(np.mean(reached)) if reached else None
            entry["covered"] = len(reached) / len(grid)
            entry[f"{name}_ratio"] = _ratio(values, rows, grid)
        found.append(entry)
    return found


def _ratio(values: list[float | None], rows: list[dict[str, Any]], grid: np.ndarray) -> Any:
    """The area under a method's curve over that of isotropic noise, where both reach."""
    curve = frontier([row for row in rows if row["method"] == "isotropic"])
    pairs = [(v, _within(curve, a)) for v, a in zip(values, grid, strict=True)]
    both = [(v, other) for v, other in pairs if v is not None and other is not None]
    return sum(v for v, _ in both) / sum(other for _, other in both) if both else None


def _within(curve: Curve, accuracy: float) -> float | None:
    if curve and accuracy < curve[0][0]:
        return curve[0][1]
    return leak_at(curve, accuracy)
