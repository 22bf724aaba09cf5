"""What tells masking apart from robustness: zero gradients, draws, an unbounded radius."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from sfumato.robustness.attacks import GradientError, MarginPGD
from sfumato.robustness.attacks.gradient import slope
from sfumato.robustness.attacks.modes import attackable
from sfumato.robustness.draws import ExpectedModel
from sfumato.robustness.evaluation.job import Job
from sfumato.robustness.evaluation.shares import Share
from sfumato.robustness.evaluation.suite import Entry
from sfumato.train.seed import seeded

FEW = 128
"""Records of the checks that would cost too much on all."""
DRAWS = (1, 4, 16)
WORST = "worst"
LOSSES = ("cross_entropy", "margin")


def unbounded(job: Job) -> dict[str, Tensor]:
    """The first-order attacks against the front prediction, with a radius that holds every record.

    Returns:
        By entry, and for the worst of them, the scores of the front prediction on the first
        records.
    """
    epsilon = widest(job)
    found = {}
    for entry in strong_entries(job):
        outcome = job.outcome(entry, epsilon, FEW)
        if outcome.scores:
            found[entry.key] = outcome.scores[job.prediction]
    if found:
        found[WORST] = torch.stack(list(found.values())).amin(0)
    return found


def strong_entries(job: Job) -> list[Entry]:
    """The iterative first-order attacks against the front prediction, or the sampled one."""
    able = [e for e in job.entries if e.attack.kind == "first-order" and hasattr(e.attack, "steps")]
    aimed = [entry for entry in able if entry.target == job.prediction]
    return aimed or [entry for entry in able if entry.target == "sampled"] or able


def widest(job: Job) -> float:
    """The distance between opposite corners of the bounds."""
    width = job.bounds[1] - job.bounds[0]
    return width if job.norm == "linf" else width * math.sqrt(job.x[0].numel())


def zero_gradient(job: Job, draws: int) -> dict[str, float]:
    """By loss, the share of records whose expected loss has a gradient of exactly zero.

    Empty for a model without gradient.
    """
    shares = {}
    with attackable(job.model), seeded(job.seed, "zero"):
        model = ExpectedModel(job.model, draws, average="loss", max_batch=job.scorer.max_batch)
        size = max(1, job.scorer.max_batch // draws)
        parts = list(zip(job.x.split(size), job.labels.split(size), strict=True))
        for loss in LOSSES:
            try:
                slopes = [slope(model, x, labels, loss).gradient for x, labels in parts]
            except GradientError:
                return {}
            zero = torch.cat([each.flatten(1).eq(0).all(1) for each in slopes])
            shares[loss] = float(zero.float().mean())
    return shares


def convergence(job: Job, epsilon: float, draws: int) -> dict[int, Share]:
    """Accuracy of the sampled prediction under margin ascent with 1, 4, 16 draws in each step.

    The last is the number of draws of the evaluation if that is more. Empty for a model without
    gradient.
    """
    tried = sorted({*DRAWS, draws}) if job.scorer.stochastic else [1]
    base = MarginPGD(
        epsilon=epsilon,
        norm=job.norm,
        bounds=job.bounds,
        max_batch=job.scorer.max_batch,
        steps=20,
        restarts=1,
        stop=False,
    )
    found = {}
    for count in tried:
        name = f"convergence/draws-{count}"
        outcome = _named(job, Entry(replace(base, draws=count), "sampled", name), epsilon)
        if outcome is None:
            return {}
        found[count] = Share.of(outcome)
    return found


def _named(job: Job, entry: Entry, epsilon: float) -> Tensor | None:
    name = f"{entry.name}/epsilon-{epsilon:g}"
    content, tensors = job.cell(name, entry, epsilon, FEW)
    job.tell(name, {})
    return None if content["skipped"] else tensors["sampled"]
