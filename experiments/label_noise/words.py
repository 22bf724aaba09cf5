"""What the table says, in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from experiments.label_noise.figures import difference
from experiments.label_noise.paper import TARGETS

Rows = Sequence[dict[str, Any]]
_FORWARD = "+forward"


def verdict(rows: Rows, seeds: Sequence[int]) -> list[str]:
    """One line a question: dropout, the targets at p = 0.4, and who is best at every p."""
    patterned = [row for row in rows if row["noise"] == "patterned"]
    headline = {row["method"]: row for row in patterned if row["rate"] == 0.4}
    lines = [
        *_against(headline, "dropout", ("se-snn", "se-snn-element")),
        *_targets(headline),
        *_best_everywhere(patterned),
    ]
    others = dict.fromkeys(
        (row["noise"], row["rate"]) for row in rows if row["noise"] != "patterned"
    )
    for noise, rate in others:
        some = [row for row in rows if (row["noise"], row["rate"]) == (noise, rate)]
        lines.append(f"{noise.capitalize()} noise at p = {rate:g}: {_ranking(some)}.")
    if lines and len(seeds) < 5:
        lines.append(f"{len(seeds)} of the 5 seeds so far: take small differences as chance.")
    return lines


def pruned_verdict(rows: Rows, rate: float) -> list[str]:
    """Whether pruning on wrong labels costs nothing, as in appendix B.2, and beats from scratch."""
    lines = []
    for row in rows:
        if row["kind"] == "pruned" and row["paper"] is not None:
            word = "reached" if 100 * row["accuracy"]["mean"] >= row["paper"] else "**not reached**"
            lines.append(
                f"The paper's {row['paper']:.2f} % of a pruned network at p = {rate:g}: {word} "
                f"({row['label']}, {row['shape']}: {_percent(row)})."
            )
    for kind, words in (("whole", "whole"), ("pruned", "pruned"), ("scratch", "from scratch")):
        some = [row for row in rows if row["kind"] == kind]
        if some:
            best = _best(some)
            lines.append(f"Best of the networks {words}: {best['label']}, {_percent(best)}.")
    return lines


def _against(rows: dict[str, dict[str, Any]], control: str, methods: Sequence[str]) -> list[str]:
    if control not in rows:
        return []
    other = rows[control]
    lines = []
    for method in methods:
        if method not in rows:
            continue
        own = rows[method]
        gap = difference(own, other)
        spread = max(own["accuracy"]["std"], other["accuracy"]["std"])
        lines.append(
            f"At p = 0.4, {method} has {_percent(own)} and {control} {_percent(other)}: "
            f"{100 * gap['mean']:+.2f} ± {100 * gap['std']:.2f} points on the same labels, above "
            f"in {gap['above']} of {gap['n']} seeds. {_judged(gap, spread)}"
        )
    return lines


def _judged(gap: dict[str, Any], spread: float) -> str:
    if gap["mean"] <= 0:
        return "**It is not above the control.**"
    if gap["n"] < 2:
        return "With one seed nothing is known of the spread."
    if gap["mean"] > max(spread, gap["std"]):
        return "It is above by more than the spread."
    if gap["mean"] > gap["std"]:
        return (
            f"That is more than the spread of the differences, and **not more than that of the "
            f"accuracies** (± {100 * spread:.2f})."
        )
    return "**It is not above by more than the spread.**"


def _targets(rows: dict[str, dict[str, Any]]) -> list[str]:
    lines = []
    for family, target in TARGETS.items():
        forward = _FORWARD in family
        mine = [r for m, r in rows.items() if m.startswith("se-snn") and (_FORWARD in m) == forward]
        if not mine:
            continue
        told = ", ".join(f"{row['method']} {_percent(row)}" for row in mine)
        best = max(row["accuracy"]["mean"] for row in mine)
        word = "reached" if best >= target else "**not reached**"
        named = "SE-SNN + Forward" if forward else "SE-SNN"
        lines.append(f"{named} at least {100 * target:.1f} % at p = 0.4: {word} ({told}).")
    return lines


def _best_everywhere(rows: Rows) -> list[str]:
    """Whether a variant of SE-SNN + Forward leads at every p from 0.2 on, and where none does."""
    lost, rates = [], sorted({row["rate"] for row in rows if row["rate"] >= 0.2})
    variants = {row["method"] for row in rows if _both(row["method"])}
    if not variants or not rates:
        return []
    winners = set(variants)
    for rate in rates:
        some = [row for row in rows if row["rate"] == rate]
        best, mine = _best(some), _best([row for row in some if _both(row["method"])])
        winners &= {best["method"]}
        if not _both(best["method"]):
            gap = difference(best, mine)
            within = " (within the spread)" if gap["mean"] <= gap["std"] else ""
            lost.append(
                f"at {rate:g} {best['method']} has {_percent(best)} and {mine['method']} "
                f"{_percent(mine)}{within}"
            )
    head = "SE-SNN + Forward best of all at every p ≥ 0.2: "
    if lost:
        return [f"{head}**no**: {'; '.join(lost)}."]
    if winners:
        return [f"{head}yes, {winners.pop()}."]
    leaders = "; ".join(
        f"{rate:g} {_best([row for row in rows if row['rate'] == rate])['method']}"
        for rate in rates
    )
    return [f"{head}yes, though not the same variant everywhere: {leaders}."]


def _both(method: str) -> bool:
    return method.startswith("se-snn") and _FORWARD in method


def _best(rows: Rows) -> dict[str, Any]:
    return max(rows, key=lambda row: row["accuracy"]["mean"])


def _ranking(rows: Rows) -> str:
    falling = sorted(rows, key=lambda row: -row["accuracy"]["mean"])
    return ", ".join(f"{row['method']} {_percent(row)}" for row in falling)


def _percent(row: dict[str, Any]) -> str:
    return f"{100 * row['accuracy']['mean']:.2f} ± {100 * row['accuracy']['std']:.2f} %"
