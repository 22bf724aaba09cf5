"""Whether the gradient is hidden: the reasons, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import final

import torch
from torch import Tensor

from sfumato.robustness.evaluation.checks import WORST
from sfumato.robustness.evaluation.job import Outcome
from sfumato.robustness.evaluation.report import Verdict
from sfumato.robustness.evaluation.shares import (
    CHANCE,
    Share,
    chance_of_count,
    chance_of_difference,
)

BY_FAR = 0.1
"""How much lower the accuracy must be to speak of a better loss, where some gap is usual; how much
a larger ε is taken to lower it; and a difference that is told even where it may be chance."""
ZERO = 0.1
"""The share of zero gradients that is no accident."""
FLOOR = 0.05
"""An accuracy so low that a larger ε has little left to lower."""
LEFT = 0.01
"""The accuracy that an unbounded attack may leave, at the lower end of its interval."""
STEP = 1.25
"""By how much ε must grow before the accuracy has to fall."""


@final
@dataclass(frozen=True)
class Evidence:
    """What the verdict is drawn from: scores of the front prediction, `[N]` each.

    Args:
        clean: without an attack.
        levels: by ε, the outcomes of the suite.
        prediction: the front prediction.
        unbounded: by attack, scores under a radius that holds every record.
        zero_gradient: by loss, the share of records.
    """

    clean: Tensor
    levels: Mapping[float, Sequence[Outcome]]
    prediction: str
    unbounded: Mapping[str, Tensor]
    zero_gradient: Mapping[str, float]

    def scores(self, epsilon: float, kind: str) -> dict[str, Tensor]:
        """By name, the scores of the attacks of a kind that ran."""
        return {
            f"{one.row.name} (at the {one.row.target} prediction)": one.scores[self.prediction]
            for one in self.levels[epsilon]
            if one.row.kind == kind and one.scores
        }

    def with_loss(self, epsilon: float, *losses: str) -> Tensor | None:
        """The worst over the iterative first-order attacks of these losses, per record."""
        found = [
            one.scores[self.prediction]
            for one in self.levels[epsilon]
            if one.row.kind == "first-order"
            and one.scores
            and one.row.budget.get("loss") in losses
            and one.row.budget.get("steps", 1) > 1
        ]
        return torch.stack(found).amin(0) if found else None


@final
@dataclass(frozen=True)
class Sign:
    """Something that looks like masking.

    Args:
        words: what was seen.
        chance: the probability of seeing it on so few records where nothing is hidden.
    """

    words: str
    chance: float


def judge(evidence: Evidence) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict and its reasons, in words.

    A sign that chance explains with a probability above `CHANCE` is no reason to speak of masking,
    and none to deny it: where there is no better one, there are too few records to tell.
    """
    found = signs(evidence)
    sure = tuple(sign.words for sign in found if sign.chance <= CHANCE)
    if sure:
        return "gradient masking", sure
    if found:
        n = len(evidence.clean)
        return "too few records to tell", tuple(
            f"{sign.words}; on {n} records this is seen by chance with a probability of "
            f"{sign.chance:.2g} where nothing is hidden"
            for sign in found
        )
    return "no sign of gradient masking", ()


def signs(evidence: Evidence) -> tuple[Sign, ...]:
    """Whatever may be a sign of a hidden gradient, by chance or not."""
    found = [*_missing(evidence)]
    for epsilon in evidence.levels:
        found += [*_beaten(evidence, epsilon), *_single_step(evidence, epsilon)]
        found += [*_losses(evidence, epsilon)]
    found += [*_larger(evidence), *_unbounded(evidence), *_zero(evidence)]
    return tuple(found)


def _missing(evidence: Evidence) -> Iterator[Sign]:
    if any(one.no_gradient for level in evidence.levels.values() for one in level):
        yield Sign(
            "the model gives no gradient for its input, so that first-order attacks cannot run: "
            "that hides the gradient, and says nothing of robustness",
            0.0,
        )


def _above(better: Tensor, worse: Tensor) -> float | None:
    """The chance of a difference; None where it is neither beyond chance nor large."""
    chance = chance_of_difference(better, worse)
    large = float((better - worse).mean()) > BY_FAR
    return chance if large or chance <= CHANCE else None


def _beaten(evidence: Evidence, epsilon: float) -> Iterator[Sign]:
    """Attacks that know less, and do better than every first-order attack."""
    first = evidence.scores(epsilon, "first-order")
    if not first:
        return
    name, best = min(first.items(), key=lambda item: float(item[1].mean()))
    for kind in ("transfer", "black-box"):
        for other, scores in evidence.scores(epsilon, kind).items():
            chance = _above(best, scores)
            if chance is not None:
                yield Sign(
                    f"at ε = {epsilon:g} the {kind} attack {other} leaves an accuracy of "
                    f"{_percent(scores)}, the best first-order attack, {name}, {_percent(best)}",
                    chance,
                )


def _single_step(evidence: Evidence, epsilon: float) -> Iterator[Sign]:
    """One step that does better than many on the same loss."""
    for loss in ("cross_entropy", "margin", "dlr"):
        many = evidence.with_loss(epsilon, loss)
        single = [
            one.scores[evidence.prediction]
            for one in evidence.levels[epsilon]
            if one.row.name.startswith("fgsm") and one.scores and one.row.budget["loss"] == loss
        ]
        if many is None or not single:
            continue
        chance = _above(many, single[0])
        if chance is not None:
            yield Sign(
                f"at ε = {epsilon:g} one step on the {loss} leaves an accuracy of "
                f"{_percent(single[0])}, many steps {_percent(many)}",
                chance,
            )


def _losses(evidence: Evidence, epsilon: float) -> Iterator[Sign]:
    """A loss that does not saturate, and does better by far."""
    usual = evidence.with_loss(epsilon, "cross_entropy")
    sure = evidence.with_loss(epsilon, "margin", "dlr")
    if usual is not None and sure is not None and float((usual - sure).mean()) > BY_FAR:
        yield Sign(
            f"at ε = {epsilon:g} attacks on the margin leave an accuracy of {_percent(sure)}, "
            f"those on the cross-entropy {_percent(usual)}: its gradient is saturated",
            chance_of_difference(usual, sure),
        )


def _larger(evidence: Evidence) -> Iterator[Sign]:
    """A larger ε that does not lower the accuracy under the same attacks."""
    clean = float(evidence.clean.mean())
    for losses, name in ((("cross_entropy",), "cross-entropy"), (("margin", "dlr"), "margin")):
        for one, other in pairwise(evidence.levels):
            smaller, larger = evidence.with_loss(one, *losses), evidence.with_loss(other, *losses)
            if smaller is None or larger is None:
                continue
            chances = [_above(larger, smaller)]
            bites = float(smaller.mean()) < clean - BY_FAR and float(larger.mean()) > FLOOR
            if other >= STEP * one and bool(larger.mean() >= smaller.mean()) and bites:
                chances.append(_chance_of_no_fall(smaller, larger))
            seen = [chance for chance in chances if chance is not None]
            if seen:
                yield Sign(
                    f"attacks on the {name} leave an accuracy of {_percent(smaller)} at "
                    f"ε = {one:g} and {_percent(larger)} at ε = {other:g}: a larger ε does not "
                    "lower it",
                    min(seen),
                )


def _chance_of_no_fall(smaller: Tensor, larger: Tensor) -> float:
    """The probability of no fall on these records where a larger ε fells a tenth of all others.

    Each of n records stays with probability 1 - BY_FAR, all of them with (1 - BY_FAR)^n; and where
    records go both ways, their spread is reckoned with.
    """
    n = len(smaller)
    error = math.sqrt(float((smaller - larger).double().var(unbiased=False)) / n + 1 / n**2)
    return max((1 - BY_FAR) ** n, 0.5 * math.erfc(BY_FAR / error / math.sqrt(2)))


def _unbounded(evidence: Evidence) -> Iterator[Sign]:
    if WORST not in evidence.unbounded:
        return
    worst = evidence.unbounded[WORST]
    if Share.of(worst).low > LEFT:
        yield Sign(
            "first-order attacks with a radius that holds every record leave an accuracy of "
            f"{_percent(worst)}, where 0 % can be reached",
            chance_of_count(float(worst.double().sum()), len(worst), LEFT),
        )


def _zero(evidence: Evidence) -> Iterator[Sign]:
    n = len(evidence.clean)
    for loss, share in evidence.zero_gradient.items():
        if share > ZERO:
            yield Sign(
                f"the gradient of the {loss.replace('_', '-')} is exactly zero for "
                f"{100 * share:.0f} % of the records",
                chance_of_count(round(share * n), n, ZERO),
            )


def _percent(scores: Tensor) -> str:
    return f"{100 * float(scores.mean()):.1f} %"
