"""What the table says, in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import sqrt
from typing import Any

from experiments.pixels.figures import entry_of, gains, headline

_T = {2: 12.71, 3: 4.303, 4: 3.182, 5: 2.776}
"""Two-sided 95 % points of Student's t for so many seeds."""


def verdict(results: Mapping[str, Any]) -> list[str]:
    """One line a question: each wanted gain, and what oracle and rivals leave."""
    config, rows = results["config"], results["rows"]
    lines = [line for target in config.get("targets", []) for line in _target(rows, target)]
    for name, row in results["descriptions"].items():
        for other in row["compare"]:
            lines += _compared(rows, name, other, config["budgets"])
    for headroom in config.get("headroom", []):
        lines += _headroom(rows, headroom, config["budgets"])
    wanted = config.get("wanted_seeds", 3)
    if len(config["seeds"]) < wanted:
        lines.append(f"{len(config['seeds'])} of {wanted} seeds so far: small gaps are chance.")
    return lines


def _target(rows: list[Any], target: Mapping[str, Any]) -> Iterator[str]:
    """A gain that was wanted: in points or metres, or relative to the other row."""
    for k in target["budgets"]:
        one, two = (entry_of(rows, target[key], k) for key in ("row", "over"))
        found = gains(one, two) if one and two else None
        if found is None or two is None:
            continue
        gain = found["mean"]
        if target.get("relative"):
            gain = gain / (headline(two) or {})["mean"]
            told = f"{100 * gain:.1f} % (wanted {100 * target['gain']:g} %)"
        else:
            told = f"{_signed(gain, two)} (wanted {_signed(target['gain'], two)})"
        word = "reached" if gain >= target["gain"] else "**not reached**"
        yield f"{target['row']} over {target['over']} at k = {k}: {told}, {word}."


def _compared(rows: list[Any], name: str, other: str, budgets: list[int]) -> Iterator[str]:
    told = []
    for k in budgets:
        one, two = entry_of(rows, name, k), entry_of(rows, other, k)
        found = gains(one, two) if one and two else None
        if found is not None and two is not None:
            told.append(f"{_signed(found['mean'], two)} {_sure(found)} at k = {k}")
    if told:
        entry = next(row for row in rows if row["row"] == other)
        yield f"{name} against {other}{_in_points(entry)}, above 0 is better: {'; '.join(told)}."


def _headroom(rows: list[Any], asked: Mapping[str, str], budgets: list[int]) -> Iterator[str]:
    told = []
    for k in budgets:
        row, over, oracle = (entry_of(rows, asked[key], k) for key in ("row", "over", "oracle"))
        if not row or not over or not oracle:
            continue
        gain, gap = gains(row, over), gains(oracle, over)
        if gain is not None and gap is not None and gap["mean"] > 0:
            told.append(f"{100 * gain['mean'] / gap['mean']:.0f} % at k = {k}")
    if told:
        yield (
            f"Of the gap between {asked['over']} and {asked['oracle']}, {asked['row']} closes "
            f"{', '.join(told)}."
        )


def _sure(found: Mapping[str, Any]) -> str:
    """Whether the gain is beyond what the seeds' spread explains, at 5 % (paired t-test)."""
    seeds = len(found["values"])
    if seeds not in _T:
        return "(one seed)" if seeds == 1 else ""
    half = _T[seeds] * found["std"] / sqrt(seeds)
    return "(beyond chance)" if abs(found["mean"]) > half else "(could be chance)"


def _in_points(entry: Mapping[str, Any]) -> str:
    return ", in points" if entry["higher_is_better"] else ""


def _signed(gain: float, entry: Mapping[str, Any]) -> str:
    return f"{100 * gain:+.1f}" if entry["higher_is_better"] else f"{gain:+.4f}"
