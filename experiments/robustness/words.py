"""What the table says, in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from experiments.robustness.figures import at, difference
from sfumato.errors import SettingError

Row = dict[str, Any]
_CURVES = (
    ("curve/cross_entropy", "FGS on the cross-entropy, the paper's attack"),
    ("curve/margin", "the same step on the margin"),
    ("suite/worst", "the worst over the suite"),
)
_BUDGETS = (("budget/carlini-wagner", "CW-L2"), ("budget/margin-pgd", "ascent on the margin"))


def verdict(rows: Sequence[Row], config: dict[str, Any]) -> list[str]:
    """One line a question: targets, what a row adds to another, the paper's claim, masking."""
    lines = [*_targets(rows, config.get("targets", {}))]
    lines += _compared(rows)
    lines += _claim(rows, config.get("front", "0.2"), config.get("front_budget", "1.5"))
    for group in config["groups"]:
        if group.get("study"):
            lines += _range(rows, group["title"], config.get("front", "0.2"))
    lines += _masked(rows)
    seeds, wanted = len(config["seeds"]), config.get("wanted_seeds", 1)
    if seeds < wanted:
        lines.append(f"{seeds} of the {wanted} seeds so far: take small differences as chance.")
    return lines


def _targets(rows: Sequence[Row], targets: dict[str, float]) -> Iterator[str]:
    for epsilon, target in targets.items():
        told = []
        for row in rows:
            worst = at(row, "suite/worst").get(str(epsilon))
            if worst is not None and row["training"] != "normal":
                word = "reached" if worst["mean"] >= target else "**not reached**"
                told.append(f"{row['label']} {percent(worst)} % ({word})")
        if told:
            yield (
                f"Worst over the suite at ε = {epsilon}, at least {100 * target:g} %: "
                f"{'; '.join(told)}."
            )


def _compared(rows: Sequence[Row]) -> Iterator[str]:
    """Rows that name another one to be held against."""
    for row in rows:
        for label in row["compare"] or []:
            other = _named(rows, label, row["group"])
            for prefix, what in (("suite/worst", "ε ="), ("certificate/certified", "radius")):
                gaps = [
                    f"{_gap(difference(row, other, f'{prefix}/{e}'))} at {what} {e}"
                    for e, found in at(row, prefix).items()
                    if found["mean"] or other["figures"][f"{prefix}/{e}"]["mean"]  # one is in reach
                ]
                if gaps:
                    named = "the worst case" if prefix == "suite/worst" else "certified accuracy"
                    yield (
                        f"{row['group']}, {row['label']} against {label}, {named} seed by seed: "
                        f"{', '.join(gaps)}."
                    )


def _named(rows: Sequence[Row], label: str, group: str) -> Row:
    """The row of this label, that of the same group first."""
    found = sorted((r for r in rows if r["label"] == label), key=lambda r: r["group"] != group)
    if not found:
        raise SettingError(f"no row is called {label!r}: a row is compared with one of the page")
    return found[0]


def _gap(gap: dict[str, Any]) -> str:
    """A difference in points, and whether it is beyond its own spread."""
    told = f"{100 * gap['mean']:+.2f} ± {100 * gap['std']:.2f}"
    if gap["n"] < 2:
        return f"{told} points (one seed)"
    within = "" if abs(gap["mean"]) > gap["std"] else ", within the spread"
    return f"{told} points (above in {gap['above']} of {gap['n']} seeds{within})"


def _claim(rows: Sequence[Row], epsilon: str, budget: str) -> Iterator[str]:
    """The paper's: SE-SNN is above the baseline and every rival under FGS and CW-L2."""
    keys = [(f"{prefix}/{epsilon}", what) for prefix, what in _CURVES]
    keys += [(f"{prefix}/{budget}", f"{what} at L2 {budget}") for prefix, what in _BUDGETS]
    for group in dict.fromkeys(row["group"] for row in rows):
        some = [row for row in rows if row["group"] == group]
        base = next((row for row in some if row["method"] == "plain"), None)
        rivals = [row for row in some if row["method"] != "se-snn"]
        own = [row for row in some if row["method"] == "se-snn" and "curve" in _measures(row)]
        if base is None or not own or len(rivals) < 2:
            continue
        for row in own:
            told = [
                f"{percent(row['figures'][key])} % under {what}, best rival {_best(rivals, key)}"
                for key, what in keys
                if key in row["figures"]
            ]
            yield f"{group}, {row['label']} at ε = {epsilon}: {'; '.join(told)}."


def _measures(row: Row) -> set[str]:
    return {key.split("/")[0] for key in row["figures"]}


def _best(rows: Sequence[Row], key: str) -> str:
    best = max(rows, key=lambda row: row["figures"][key]["mean"])
    return f"{best['label']} {percent(best['figures'][key])} %"


def _range(rows: Sequence[Row], group: str, epsilon: str) -> list[str]:
    """How much the settings of a study matter."""
    told, some = [], [row for row in rows if row["group"] == group]
    for prefix, what in _CURVES:
        key = f"{prefix}/{epsilon}"
        if all(key in row["figures"] for row in some):
            ordered = sorted(some, key=lambda row: row["figures"][key]["mean"])
            ends = [f"{percent(row['figures'][key])} % ({row['label']})" for row in ordered]
            told.append(f"{what}: {ends[0]} to {ends[-1]}")
    return [f"{group}, at ε = {epsilon}, lowest to highest: {'; '.join(told)}."] if told else []


def _masked(rows: Sequence[Row]) -> Iterator[str]:
    if not any("suite/masked" in row["figures"] for row in rows):
        return
    found, unsettled = (_seeds(rows, f"suite/{key}") for key in ("masked", "unsettled"))
    if found:
        yield f"Gradient masking found in: {found}."
    if unsettled:
        yield f"Signs of masking that so few records do not settle: {unsettled}."
    if not found and not unsettled:
        yield "No sign of gradient masking in any row."


def _seeds(rows: Sequence[Row], key: str) -> str:
    """The rows with seeds of a verdict, and how many."""
    told = []
    for row in rows:
        seeds = row["figures"].get(key, {"values": []})["values"]
        if any(seeds):
            told.append(f"{row['group']}, {row['label']} ({sum(seeds):g} of {len(seeds)} seeds)")
    return "; ".join(told)


def percent(found: dict[str, Any] | None) -> str:
    """A figure in per cent, with its spread where there is more than one seed."""
    if found is None:
        return ""
    spread = f" ± {100 * found['std']:.1f}" if found["n"] > 1 else ""
    return f"{100 * found['mean']:.1f}{spread}"
