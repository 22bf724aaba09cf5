"""The words of the page that are the same on every run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sfumato.report.common.numerals import grouped, percent
from sfumato.report.common.wording import LEAK

GLOSSARY = (
    ("release", "One obfuscated copy of one record. Releasing a record twice is two releases, "
     "and averaging them takes noise away."),
    ("obfuscator", "What stands between a record and the model: it turns the record into the "
     "parameters of a noise law and passes on a sample."),
    ("location μ, scale σ", "The parameters of the noise at each value of a record: the release "
     "is the location plus the scale times the draw."),
    ("leak", LEAK),
    ("knob", "The weight of the obfuscation objective; it trades accuracy for obfuscation."),
    ("screening", "Hiding random parts of released records at every training step."),
    ("selection", "How much of each class's kernels an input passes through: hard when the label "
     "is known, soft (learned, between 0 and 1) when it is not."),
    ("clean part", "The records that the compute sees as they are. They have no protection."),
    ("constant-image test", "Records released under labels that are not their own, then "
     "classified: how often the model says the label of the noise instead of that of the record. "
     "Far above chance, the noise gives the label away, and the model has learned to read it."),
    ("isotropic noise", "Plain Gaussian noise of one scale everywhere, nothing learned: the "
     "baseline that everything is held against."),
    ("ceiling", "The accuracy of the same model trained on all records clean."),
    ("mean ± std (n)", "Mean and standard deviation over n seeds."),
)  # fmt: skip


def title(results: Mapping[str, Any]) -> str:
    """What the run was, in one line."""
    name = str(results["data"]["name"]).rstrip("/").rsplit("/", 1)[-1]
    if results["command"] == "fit":
        return f"{name}: an obfuscator, fitted"
    if results["command"] == "release":
        return f"{name}: released"
    if "released" in results:
        return f"{name}: trained on releases"
    rounds = len(results["rounds"])
    return f"{name}: obfuscated training in {rounds} round{'s' if rounds > 1 else ''}"


def facts(results: Mapping[str, Any]) -> list[str]:
    """The data and the run in short phrases."""
    data = results["data"]
    records = f"{grouped(data['train'])} training"
    if data.get("test"):
        records += f" and {grouped(data['test'])} test"
    shape = " × ".join(str(size) for size in data["shape"])
    lines = [f"{records} records of {shape}", f"{len(data['classes'])} classes"]
    seeds = len(results.get("seeds") or [])
    if seeds:
        lines.append(f"{seeds} seed{'s' if seeds > 1 else ''}")
    date = results["provenance"].get("date")
    return [*lines, str(date)[:16].replace("T", " ")] if date else lines


def trade_off_note(results: Mapping[str, Any], fractions: Sequence[float]) -> str:
    """How to read the trade-off figure of these results."""
    note = (
        "Up and to the left is better. Above the line of the clean part alone, released records "
        "helped at all"
    )
    if not fractions:
        return f"{note}. This run has no baselines."
    note += (
        "; above the curve of isotropic noise, the learned noise is worth its trouble. Baselines "
        "are trained without screening, so that the light point is the one to hold against them."
    )
    if len(fractions) == 1 and len(results["rounds"]) > 1:
        note += (
            f" The baselines were run with {percent(fractions[0])} of the records clean, like the "
            "full point; the hollow points have another clean part."
        )
    return note
