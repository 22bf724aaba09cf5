"""Whether one way of choosing is better than another: differences of the same seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any

_QUANTILES = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Of Student's t with 1, 2, ... degrees of freedom: 95 % lie within it on both sides."""

Row = dict[str, Any]


def scores(cells: Sequence[Row], name: str, k: int) -> dict[int, float]:
    """The headline figure of a selector at a budget, by seed; held to it, where there was a price.

    Of several prices it is the one whose realised pixels are the nearest to the budget.
    """
    rows = [one for one in cells if one["contender"] == name and one["k"] == k]
    if any(one["weight"] is not None for one in rows):
        price = nearest_price(rows, k)
        rows = [one for one in rows if one["weight"] == price]
    found = {}
    for row in rows:
        evaluation = row.get("held") or row["evaluation"]
        figure = evaluation["figures"].get(evaluation["headline"])
        if figure is not None:
            found[row["seed"]] = figure
    return found


def nearest_price(rows: Sequence[Row], k: int) -> float:
    """The λ whose pixels per picture are the nearest to k, over all seeds."""

    def away(price: float) -> float:
        bought = [row["evaluation"]["pixels"]["mean"] for row in rows if row["weight"] == price]
        return abs(math.log((mean(bought) + 1e-3) / k))

    return min({row["weight"] for row in rows}, key=away)


def comparison(
    cells: Sequence[Row], name: str, over: str, k: int, higher_is_better: bool
) -> Row | None:
    """How much better `name` is than `over` at k pixels; None where one of them was not run.

    Above 0 is better, also where less is better. `low` and `high` are the ends of the 95 %
    interval (Student's t) of the mean difference over seeds; None for a single seed.
    """
    ours, theirs = scores(cells, name, k), scores(cells, over, k)
    seeds = sorted(ours.keys() & theirs.keys())
    if not seeds:
        return None
    sign = 1 if higher_is_better else -1
    gains = [sign * (ours[seed] - theirs[seed]) for seed in seeds]
    middle, spread = mean(gains), stdev(gains) if len(gains) > 1 else 0.0
    low = high = None
    if len(gains) > 1:
        quantile = _QUANTILES[min(len(gains) - 1, len(_QUANTILES)) - 1]
        reach = quantile * spread / math.sqrt(len(gains))
        low, high = middle - reach, middle + reach
    return {
        "selector": name,
        "over": over,
        "k": k,
        "score": mean(ours[seed] for seed in seeds),
        "other": mean(theirs[seed] for seed in seeds),
        "gain": {"mean": middle, "std": spread, "n": len(gains)},
        "low": low,
        "high": high,
        "says": _said(low, high),
    }


def _said(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "one seed"
    if low > 0:
        return "better"
    return "worse" if high < 0 else "level"


def alarms(cells: Sequence[Row], ks: Sequence[int], higher_is_better: bool) -> list[str]:
    """Selectors that do better than the oracle: it is weak, or they saw labels."""
    names = list(dict.fromkeys(row["contender"] for row in cells))
    oracles = {row["contender"] for row in cells if row["oracle"]}
    found = []
    for oracle in oracles:
        for name in (name for name in names if name not in oracles):
            for k in ks:
                row = comparison(cells, name, oracle, k, higher_is_better)
                if row is not None and row["says"] == "better":
                    found.append(
                        f"{name} is better than the label-seeing oracle at {k} pixels: the "
                        "oracle's search was too short there, or labels leak"
                    )
    return found
