"""The words of a defence's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sfumato.report.common.numerals import grouped, number, short
from sfumato.report.defend.tables import at_epsilon, certified, front, radii_of

LIMITS = (
    "Nobody can attack with everything. What is left under these attacks is an upper end: an "
    "attack that was not run may find more. Only a certificate holds for every attack, and only "
    "for its norm and radius."
)

GLOSSARY = (
    ("worst case", "For each record the attack of the suite that does best against it. Records "
     "that any attack fools are lost."),
    ("ε", "How far an attacker may move a record, in units of the records: every value by at "
     "most ε (L∞), or all of them together (L2)."),
    ("sampled, averaged, mean", "A stochastic network can be used in three ways: one draw, an "
     "average over draws, or the mean path without noise. Each is attacked."),
    ("fresh noise", "Every adversarial example is scored with draws that its attack has not "
     "seen: a single draw picks lucky survivors."),
    ("first-order, transfer, black-box", "What an attack knows: the gradients; those of another, "
     "undefended network; nothing but the output."),
    ("gradient masking", "The gradient leads nowhere, and attacks that follow it fail, while "
     "others succeed. Robustness against the first is then no robustness."),
    ("zero gradient", "The share of records at which the gradient of a loss is exactly zero."),
    ("certificate", "A proof that the smoothed classifier's answer is the same everywhere within "
     "an L2 radius; false with probability alpha for each record. It says nothing of L∞, and "
     "nothing beyond its radius."),
    ("abstain", "The draws do not agree enough to say which class is the most likely."),
    ("mean [low, high]", "Share of the attacked records and its 95 % confidence interval."),
)  # fmt: skip

_NORMS = {"linf": "L∞", "l2": "L2"}


def title(results: Mapping[str, Any]) -> str:
    """What the run was, in one line."""
    name = str(results["data"]["name"]).rstrip("/").rsplit("/", 1)[-1]
    return f"{name}: {results['defence']}, under attack"


def facts(results: Mapping[str, Any]) -> list[str]:
    """The data and the run in short phrases."""
    data, found = results["data"], results["robustness"]
    shape = " × ".join(str(size) for size in data["shape"])
    given = results["config"].get("weights") is not None
    lines = [
        f"{'records' if given else 'trained on ' + grouped(data['train']) + ' records'} of {shape}",
        f"{grouped(found['records'])} attacked",
        f"{_NORMS[found['norm']]} ε = {short(at_epsilon(found, results['epsilon'])['epsilon'])}",
    ]
    date = results["provenance"].get("date")
    return [*lines, str(date)[:16].replace("T", " ")] if date else lines


def verdict(results: Mapping[str, Any]) -> list[str]:
    """What was found, in sentences; the honest figure first."""
    found, level = results["robustness"], at_epsilon(results["robustness"], results["epsilon"])
    worst, clean = front(found, level["worst"]), front(found, found["clean"])
    kept = f"{number(100 * worst['mean'], 1)} %"
    norm = _NORMS[found["norm"]]
    count = sum(not attack["skipped"] for attack in level["attacks"])
    first = (
        f"Under the worst of {count} attacks at {norm} ε = {short(level['epsilon'])}, {kept} of "
        f"the records are still right; without an attack {number(100 * clean['mean'], 1)} %."
    )
    if results["config"].get("attacks") == "quick":
        first += " The suite was the quick one, which finds less than the standard one."
    sentences = [first, *_masking(found), *_beside(results, level["epsilon"], worst)]
    return [*sentences, *_certificates(results["certificates"])]


def _masking(found: Mapping[str, Any]) -> list[str]:
    if found["verdict"] == "too few records to tell":
        return [
            f"Whether the gradient is hidden cannot be told from {grouped(found['records'])} "
            f"records: {found['reasons'][0]}. Attack more of them with --records."
        ]
    if found["verdict"] != "gradient masking":
        return ["No sign of gradient masking: no attack that knows less does better."]
    reasons: Sequence[str] = found["reasons"]
    more = f" (and {len(reasons) - 1} more reasons below)" if len(reasons) > 1 else ""
    return [
        f"Gradient masking: {reasons[0]}{more}. Figures of attacks that follow the gradient say "
        "nothing here, and the true accuracy may be lower than the worst case."
    ]


def _beside(results: Mapping[str, Any], epsilon: float, worst: Mapping[str, Any]) -> list[str]:
    beside = results["beside"]
    if beside is None:
        return []
    level = at_epsilon(beside, epsilon)
    plain, clean = front(beside, level["worst"]), front(beside, beside["clean"])
    words = (
        f"The same kind of network without defence keeps {number(100 * plain['mean'], 1)} % under "
        f"a quick suite, {number(100 * clean['mean'], 1)} % without an attack"
    )
    if worst["low"] > plain["high"]:
        return [f"{words}."]
    return [f"{words}: this defence buys nothing that these records can show."]


def _certificates(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return []
    radius = radii_of(rows)[1]
    said = [f"{number(100 * certified(row, radius), 1)} % ({row['name']})" for row in rows]
    return [
        f"Certified right within L2 radius {short(radius)}, whatever the attack: "
        f"{', '.join(said)}; each record's certificate is false with probability "
        f"{short(rows[0]['alpha'])}."
    ]
