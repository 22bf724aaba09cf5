"""The words of the page about a pruned network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sfumato.report.common.numerals import grouped, number, percent, short

GLOSSARY = (
    ("neuron", "An output of a linear layer, or a channel of a convolution: what is removed as a "
     "whole, with all weights that lead to it and away from it."),
    ("multiplications", "Those of linear and convolutional layers for one record; additions, "
     "biases, batch norm and pooling are not counted. They are not milliseconds."),
    ("parameters", "Weights and biases; batch norm folds into the layer before it."),
    ("activations", "The values that layers with weights pass on, before pooling: what a run has "
     "to store."),
    ("mean path", "The network without noise, which is all that remains of a stochastic layer "
     "after training."),
    ("max-entropy", "The part of the loss that rewards noise: a neuron that the task does not need "
     "becomes noisy."),
    ("front", "The steps that no smaller network equals in error."),
    ("from scratch", "The pruned network's architecture with fresh weights, trained for as many "
     "steps: what pruning must beat to be worth it."),
)  # fmt: skip


def verdict(results: Mapping[str, Any]) -> list[str]:
    """What came out, in sentences, the most important first."""
    before, after = results["before"], results["after"]
    share = after["multiplications"] / before["multiplications"]
    sentences = [
        f"{grouped(after['multiplications'])} multiplications instead of "
        f"{grouped(before['multiplications'])} ({_percent(share)}), at a test error of "
        f"{_percent(after['test_error'])} instead of {_percent(before['test_error'])}."
    ]
    if not results["met"]:
        sentences.insert(0, "The budget could not be met within the error that was allowed.")
    if results["scratch"] is not None:
        sentences.append(_against_scratch(results))
    sentences.append(_speed(results["speed"]))
    return sentences


def facts(results: Mapping[str, Any]) -> list[str]:
    """The data and the run in short phrases."""
    data = results["data"]
    shape = " × ".join(str(size) for size in data["shape"])
    gone = sum(step["removed"] for step in results["steps"])
    return [
        f"{grouped(data['train'])} training, {grouped(data['validation'])} validation and "
        f"{grouped(data['test'])} test records of {shape}",
        f"{len(data['classes'])} classes",
        f"{grouped(gone)} neurons removed in {grouped(len(results['steps']) - 1)} steps",
        str(results["provenance"].get("date", ""))[:10],
    ]


def title(results: Mapping[str, Any]) -> str:
    """What was pruned, in one line."""
    data = str(results["data"]["name"]).rstrip("/").rsplit("/", 1)[-1]
    return f"{data}: {results['network']['name']}, pruned"


def _against_scratch(results: Mapping[str, Any]) -> str:
    ours, theirs = results["after"]["test_error"], results["scratch"]["test_error"]
    records = results["data"]["test"]
    start = f"The same small architecture trained from scratch makes {_percent(theirs)}"
    # two errors on the same records: at most as far apart by chance as on two sets of them
    spread = math.sqrt((ours * (1 - ours) + theirs * (1 - theirs)) / records)
    if abs(ours - theirs) <= 2 * spread:
        return (
            f"{start}: {grouped(records)} test records and one seed cannot tell them apart, so "
            "that pruning has not shown to be worth it here."
        )
    if ours < theirs:
        return f"{start}: pruning was worth {_points(theirs - ours)}."
    return f"{start}: that is better by {_points(ours - theirs)}, and pruning was not worth it."


def _speed(measured: Sequence[Mapping[str, Any]]) -> str:
    parts = [
        f"{short(round(one['ratio'], 2))} times as fast "
        + ("for one record" if one["batch"] == 1 else f"for {one['batch']} at once")
        for one in measured
    ]
    return f"On one thread of this machine it is {' and '.join(parts)}."


def _percent(share: float) -> str:
    return percent(float(f"{share:.3g}"))


def _points(share: float) -> str:
    return f"{number(100 * share, 1)} points"
