"""The words of the page of a comparison of selectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sfumato.report.common.numerals import grouped, number, short
from sfumato.report.pixels.tables import headline_of, names_of, price_rows

GLOSSARY = (
    ("k", "Pixels that are measured or annotated per picture: the budget."),
    ("not bought", "Scores count the pixels that were not bought. Bought ones are known, and would "
     "flatter whoever buys what is hard. Some flattery stays: what is hard and bought need not be "
     "predicted."),
    ("grid, random, jittered, edges", "Choices that learn nothing: a regular grid, pixels at "
     "random, one at random in each cell of a grid, and pixels with strong edges."),
    ("stratified", "One pixel in each of k cells, chosen by a network that sees the picture."),
    ("uncertainty", "Rounds: a grid first, then pixels where the predictor is the least certain, "
     "given the labels that have come back."),
    ("predictor", "The network that sees the picture and the bought labels and predicts the "
     "others. Each selector has one of its own, trained as long."),
    ("oracle", "It sees the labels: no method, but what a better choice could still gain with such "
     "a predictor. Its search is not exhaustive."),
    ("λ", "The price of a pixel in error² + λ‖M‖₁. It holds no budget: what is bought differs "
     "between pictures. Held to k, the k highest logits are bought."),
    ("failed", "A bought pixel that gave no label: depth that could not be measured, a void class. "
     "It was paid for all the same."),
    ("95 % interval", "Of the mean difference between trainings of the same seed (Student's t). "
     "Better means that all of it lies above 0."),
)  # fmt: skip


def title(results: Mapping[str, Any]) -> str:
    """What the run was, in one line."""
    name = str(results["data"]["name"]).rstrip("/").rsplit("/", 1)[-1]
    if results["selector"] is not None:
        return f"{name}: {results['selector']}, {_pixels(results, results['budgets'][0])}"
    return f"{name}: where to look"


def facts(results: Mapping[str, Any]) -> list[str]:
    """The data and the run in short phrases."""
    data = results["data"]
    lines = [str(results["task"]["task"])]
    if data["train"] is not None:
        lines.append(f"{grouped(data['train'])} pictures to train on")
    lines.append(f"{grouped(data['test'])} to score on")
    lines.append(f"{data['size'][0]} × {data['size'][1]} pixels")
    if data["valid"] < 1:
        lines.append(f"{number(100 * data['valid'], 1)} % of them with a label")
    date = results["provenance"].get("date")
    return [*lines, str(date)[:16].replace("T", " ")] if date else lines


def metric(results: Mapping[str, Any]) -> str:
    """The headline figure as it is called."""
    if results["headline"] == "miou":
        return "mIoU, %"
    unit = results["unit"]
    return f"RMSE, {unit}" if unit else "RMSE"


def shown(results: Mapping[str, Any]) -> str:
    """The budget of the pictures."""
    return _pixels(results, results["shown"])


def verdict(results: Mapping[str, Any]) -> list[str]:
    """What was found, in sentences; whether learning pays first."""
    if results["selector"] is not None:
        lines = _of_one(results, results["selector"], results["budgets"][0])
    else:
        lines = _of_many(results)
    lines += _headroom(results) + _prices(results) + _failed(results)
    lines += [f"Look for a leak: {one}." for one in results["alarms"]]
    return lines


def _of_one(results: Mapping[str, Any], name: str, k: int) -> list[str]:
    """Whether one selector is worth its training."""
    rows = {row["over"]: row for row in results["comparison"] if row["selector"] == name}
    where, own = _pixels(results, k), headline_of(results, name, k)
    if own is None:
        return [f"With {where} nothing was left to score: buy less."]
    said = f"{name} reaches {_figure(results, own['mean'])} with {where}"
    if name in ("grid", "random"):
        return [f"{said[0].upper()}{said[1:]}. Nothing was learned about where to look."]
    if "grid" not in rows:
        return [f"{said[0].upper()}{said[1:]}; no grid was run beside it."]
    lines = [_against_grid(results, rows["grid"], said)]
    if "random" in rows:
        row = rows["random"]
        lines.append(
            f"Random pixels reach {_figure(results, row['other'])}: {_gain(results, row)}."
        )
    return lines


def _against_grid(results: Mapping[str, Any], row: Mapping[str, Any], said: str) -> str:
    grid = f"a regular grid {_figure(results, row['other'])}"
    gain = _gain(results, row)
    if row["says"] == "better":
        return f"It pays to choose: {said}, {grid} ({gain})."
    if row["says"] == "one seed":
        return (
            f"Use the grid until more seeds tell: {said}, {grid} ({gain}), and one seed has no "
            "spread. Try --seeds 3."
        )
    why = "is no better here" if row["says"] == "worse" else "cannot be told from it"
    return f"Use the grid: {said}, {grid}, and learning {why} ({gain})."


def _of_many(results: Mapping[str, Any]) -> list[str]:
    """Budget by budget, whether any selector is better than the grid."""
    oracles = {cell["contender"] for cell in results["cells"] if cell["oracle"]}
    rows = [row for row in results["comparison"]
            if row["over"] == "grid" and row["selector"] not in oracles]  # fmt: skip
    if not rows:
        return ["No grid was run beside these selectors: add it, it is hard to beat."]
    paying: list[str] = []
    for k in results["budgets"]:
        better = [row for row in rows if row["k"] == k and row["says"] == "better"]
        if better:
            best = max(better, key=lambda row: row["gain"]["mean"])
            paying.append(
                f"With {_pixels(results, k)} {best['selector']} reaches "
                f"{_figure(results, best['score'])}, a regular grid "
                f"{_figure(results, best['other'])} ({_gain(results, best)})."
            )
    if len(paying) == len(results["budgets"]):
        return ["It pays to choose at every budget that was tried.", *paying]
    if paying:
        return ["It pays to choose at some budgets; at the others use the grid.", *paying]
    if all(row["says"] == "one seed" for row in rows):
        return ["Use the grid until more seeds tell: one seed has no spread. Try --seeds 3."]
    return ["Use the grid: at no budget is anything better that these seeds can tell."]


def _headroom(results: Mapping[str, Any]) -> list[str]:
    oracle = next((cell["contender"] for cell in results["cells"] if cell["oracle"]), None)
    k = results["shown"]
    top = None if oracle is None else headline_of(results, oracle, k)
    if top is None or oracle is None:
        return []
    words = f"With {_pixels(results, k)} the oracle, which sees the labels, reaches "
    words += _figure(results, top["mean"])
    grid = headline_of(results, "grid", k)
    sign = 1 if results["higher_is_better"] else -1
    if grid is None or sign * (top["mean"] - grid["mean"]) <= 0:
        return [f"{words}."]
    gap = sign * (top["mean"] - grid["mean"])
    closed = {
        name: sign * (found["mean"] - grid["mean"]) / gap
        for name in names_of(results)
        if name not in (oracle, "grid") and (found := headline_of(results, name, k))
    }
    if not closed or max(closed.values()) <= 0:
        return [f"{words}; no selector closes any of the gap between grid and oracle."]
    best = max(closed, key=lambda name: closed[name])
    return [
        f"{words}; {best} closes {number(100 * closed[best], 0)} % of the gap between grid and "
        "oracle."
    ]


def _prices(results: Mapping[str, Any]) -> list[str]:
    """What λ really bought."""
    return [
        f"At λ = {short(row['weight'])} {row['name']} buys {number(row['mean'], 1)} pixels per "
        f"picture, {short(row['minimum'])} to {short(row['maximum'])}: a price holds no budget."
        for row in price_rows(results)
    ]


def _failed(results: Mapping[str, Any]) -> list[str]:
    shares = [
        cell["evaluation"]["failed"] / cell["evaluation"]["pixels"]["mean"]
        for cell in results["cells"]
        if cell["evaluation"]["pixels"]["mean"]
    ]
    if not shares or max(shares) < 0.005:
        return []
    low, high = (number(100 * one, 1) for one in (min(shares), max(shares)))
    return [f"Between {low} % and {high} % of the bought pixels gave no label; they count as paid."]


def _pixels(results: Mapping[str, Any], k: int) -> str:
    height, width = results["data"]["size"]
    share = number(100 * k / (height * width), 1 if k / (height * width) >= 0.095 else 2)
    return f"{grouped(k)} of {grouped(height * width)} pixels ({share} %)"


def _figure(results: Mapping[str, Any], value: float) -> str:
    if results["headline"] == "miou":
        return f"{number(100 * value, 1)} % mIoU"
    unit = f" {results['unit']}" if results["unit"] else ""
    return f"RMSE {value:.3g}{unit}"


def _gain(results: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """The difference with its interval, in points or in per cent of the error."""
    share = results["headline"] == "miou"
    factor = 100 if share else 100 / row["other"] if row["other"] else 0.0
    middle = factor * row["gain"]["mean"]
    less = middle < 0 and not share
    middle = -middle if less else middle
    if share:
        words = f"{'+' if middle > 0 else ''}{number(middle, 1)} points"
    else:
        words = f"{number(middle, 1)} % {'more' if less else 'less'} error"
    if row["low"] is None:
        return f"{words}, one seed"
    ends: Sequence[float] = (factor * row["low"], factor * row["high"])
    low, high = (-ends[1], -ends[0]) if less else ends
    return f"{words}, 95 % interval {number(low, 1)} to {number(high, 1)}, {row['gain']['n']} seeds"
