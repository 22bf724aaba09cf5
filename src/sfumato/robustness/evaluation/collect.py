"""From cells to the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sfumato.robustness.evaluation.checks import (
    DRAWS,
    FEW,
    convergence,
    strong_entries,
    unbounded,
    widest,
    zero_gradient,
)
from sfumato.robustness.evaluation.job import Job, Outcome
from sfumato.robustness.evaluation.report import Level, RobustnessReport
from sfumato.robustness.evaluation.shares import Share
from sfumato.robustness.evaluation.verdict import Evidence, judge, plateaus


def collect(
    job: Job, epsilons: Sequence[float], draws: int, asked: str, settings: dict[str, Any]
) -> RobustnessReport:
    """Run what is missing and make the report."""
    counts = len({*DRAWS, draws}) if job.scorer.stochastic else 1
    job.total = len(epsilons) * len(job.entries) + len(strong_entries(job)) + counts
    clean = job.score(job.x, "clean")
    outcomes = {e: [job.outcome(entry, e) for entry in job.entries] for e in epsilons}
    levels = tuple(_level(job, e, found, clean) for e, found in outcomes.items())
    far = unbounded(job)
    zero = zero_gradient(job, draws)
    middle = min(levels, key=lambda level: abs(level.worst[job.prediction].mean - 0.5))
    steps = convergence(job, middle.epsilon, draws)
    front = clean[job.prediction]
    evidence = Evidence(front, outcomes, job.prediction, far, zero)
    verdict, why = judge(evidence)
    return RobustnessReport(
        verdict=verdict,
        reasons=why,
        prediction=job.prediction,
        norm=job.norm,
        records=len(job.x),
        stochastic=job.scorer.stochastic,
        clean={key: Share.of(value) for key, value in clean.items()},
        levels=levels,
        unbounded={key: Share.of(value) for key, value in far.items()},
        zero_gradient=zero,
        convergence=steps,
        notes=(*_notes(job, asked, middle.epsilon, steps, draws), *plateaus(evidence)),
        settings=settings,
    )


def _level(job: Job, epsilon: float, found: list[Outcome], clean: dict[str, Tensor]) -> Level:
    ran = [one for one in found if one.scores]
    worst = {key: _worst(job, epsilon, key, ran, scores) for key, scores in clean.items()}
    strongest = min(ran, key=lambda one: one.row.accuracy[job.prediction].mean, default=None)
    return Level(
        epsilon=epsilon,
        worst={key: Share.of(scores) for key, scores in worst.items()},
        strongest="" if strongest is None else strongest.row.name,
        attacks=tuple(one.row for one in found),
        records=tuple(round(value, 6) for value in worst[job.prediction].tolist()),
    )


def _worst(job: Job, epsilon: float, prediction: str, ran: list[Outcome], clean: Tensor) -> Tensor:
    """The example of each record's worst attack, scored with noise that did not choose it."""
    scores = torch.stack([clean, *(one.scores[prediction] for one in ran)])
    chosen = scores.argmin(0)
    candidates = torch.stack([job.x, *(one.found for one in ran)])
    worst = candidates[chosen, torch.arange(len(job.x), device=job.x.device)]
    return job.score(worst, "worst", epsilon, prediction)[prediction]


def _notes(job: Job, asked: str, epsilon: float, steps: dict[int, Share], draws: int) -> list[str]:
    notes = []
    if not job.scorer.stochastic:
        notes.append("two calls of the model agree: all predictions are the same, one draw is all")
        if asked != "sampled":
            notes.append(f"the {asked} prediction is therefore called the sampled one")
    if job.scorer.stochastic and not job.scorer.has_mean:
        notes.append("the model has no mean path of sfumato's layers: none was attacked")
    if all(entry.attack.kind != "transfer" for entry in job.entries):
        notes.append("nothing was transferred: give undefended= a network without defence")
    few = min(FEW, len(job.x))
    notes.append(
        f"unbounded: ε = {widest(job):g} on the first {few} records; convergence at "
        f"ε = {epsilon:g} on the same"
    )
    if draws in steps and steps[draws].low > steps[max(steps)].high:
        notes.append(f"the attack gains from more than {draws} draws: use {max(steps)} or more")
    return notes
