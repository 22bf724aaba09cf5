"""Whether the gradient is hidden: the reasons, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
"""How much lower the accuracy must be to speak of a better loss, where some gap is usual; and a
difference that is told even where it may be chance."""
ZERO = 0.1
"""The share of zero gradients that is no accident."""
FLOOR = 0.05
"""An accuracy so low that a larger ε has little left to lower."""
LEFT = 0.01
"""The accuracy that an unbounded attack may leave: many steps may fail on a record or two."""
STEP = 1.25
"""By how much ε must grow before an accuracy that does not fall is worth a note."""


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
class Look:
    """One comparison that could show masking.

    Args:
        words: what was seen, as a sign of masking.
        chance: the probability of seeing as much on so few records where nothing is hidden.
        large: whether it is told even where it may be chance.
    """

    words: str
    chance: float
    large: bool


def judge(evidence: Evidence) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict and its reasons, in words.

    Of n looks, one whose probability is at most `CHANCE` / n is a reason: so all of them together
    hold an honest model for masking with a probability of at most `CHANCE`. A sign that chance
    explains is none, and none to deny masking either: where there is no better one, there are too
    few records to tell.
    """
    made = looks(evidence)
    sure = tuple(look.words for look in made if look.chance <= CHANCE / len(made))
    if sure:
        return "gradient masking", sure
    signs = [look for look in made if look.large or look.chance <= CHANCE]
    if signs:
        n = len(evidence.clean)
        return "too few records to tell", tuple(
            f"{sign.words}; on {n} records this is seen by chance with a probability of "
            f"{sign.chance:.2g} where nothing is hidden, in one of {len(made)} comparisons"
            for sign in signs
        )
    return "no sign of gradient masking", ()


def looks(evidence: Evidence) -> tuple[Look, ...]:
    """Every comparison that the attacks allow."""
    made = [*_missing(evidence)]
    for epsilon in evidence.levels:
        made += [*_beaten(evidence, epsilon), *_single_step(evidence, epsilon)]
        made += [*_losses(evidence, epsilon)]
    made += [*_larger(evidence), *_unbounded(evidence), *_zero(evidence)]
    return tuple(made)


def plateaus(evidence: Evidence) -> Iterator[str]:
    """Where a larger ε takes nothing more, in words: no sign by itself, and worth a look."""
    clean = float(evidence.clean.mean())
    for name, one, other, smaller, larger in _pairs(evidence):
        bites = float(smaller.mean()) < clean - BY_FAR and float(larger.mean()) > FLOOR
        if other >= STEP * one and bites and bool(larger.mean() >= smaller.mean()):
            yield (
                f"attacks on the {name} leave as much at ε = {other:g} as at {one:g}, "
                f"{_percent(larger)}: rare where none of them fails; try more steps and restarts"
            )


def _missing(evidence: Evidence) -> Iterator[Look]:
    if any(one.no_gradient for level in evidence.levels.values() for one in level):
        yield Look(
            "the model gives no gradient for its input, so that first-order attacks cannot run: "
            "that hides the gradient, and says nothing of robustness",
            0.0,
            True,
        )


def _above(words: str, better: Tensor, worse: Tensor) -> Look:
    large = float((better - worse).mean()) > BY_FAR
    return Look(words, chance_of_difference(better, worse), large)


def _beaten(evidence: Evidence, epsilon: float) -> Iterator[Look]:
    """Attacks that know less, and do better than every first-order attack."""
    first = evidence.scores(epsilon, "first-order")
    if not first:
        return
    name, best = min(first.items(), key=lambda item: float(item[1].mean()))
    for kind in ("transfer", "black-box"):
        for other, scores in evidence.scores(epsilon, kind).items():
            yield _above(
                f"at ε = {epsilon:g} the {kind} attack {other} leaves an accuracy of "
                f"{_percent(scores)}, the best first-order attack, {name}, {_percent(best)}",
                best,
                scores,
            )


def _single_step(evidence: Evidence, epsilon: float) -> Iterator[Look]:
    """One step that does better than many on the same loss."""
    for loss in ("cross_entropy", "margin", "dlr"):
        many = evidence.with_loss(epsilon, loss)
        single = [
            one.scores[evidence.prediction]
            for one in evidence.levels[epsilon]
            if one.row.name.startswith("fgsm") and one.scores and one.row.budget["loss"] == loss
        ]
        if many is not None and single:
            yield _above(
                f"at ε = {epsilon:g} one step on the {loss} leaves an accuracy of "
                f"{_percent(single[0])}, many steps {_percent(many)}",
                many,
                single[0],
            )


def _losses(evidence: Evidence, epsilon: float) -> Iterator[Look]:
    """A loss that does not saturate, and does better by far."""
    usual = evidence.with_loss(epsilon, "cross_entropy")
    sure = evidence.with_loss(epsilon, "margin", "dlr")
    if usual is None or sure is None:
        return
    look = _above(
        f"at ε = {epsilon:g} attacks on the margin leave an accuracy of {_percent(sure)}, "
        f"those on the cross-entropy {_percent(usual)}: its gradient is saturated",
        usual,
        sure,
    )
    yield look if look.large else replace(look, chance=1.0)  # a small gap is usual


def _larger(evidence: Evidence) -> Iterator[Look]:
    """A larger ε that raises the accuracy under the same attacks."""
    for name, one, other, smaller, larger in _pairs(evidence):
        yield _above(
            f"attacks on the {name} leave an accuracy of {_percent(smaller)} at ε = {one:g} and "
            f"{_percent(larger)} at ε = {other:g}: a larger ε raises it",
            larger,
            smaller,
        )


def _pairs(evidence: Evidence) -> Iterator[tuple[str, float, float, Tensor, Tensor]]:
    """By loss, two radii that follow each other, and the scores under many steps at both."""
    for losses, name in ((("cross_entropy",), "cross-entropy"), (("margin", "dlr"), "margin")):
        for one, other in pairwise(evidence.levels):
            smaller, larger = evidence.with_loss(one, *losses), evidence.with_loss(other, *losses)
            if smaller is not None and larger is not None:
                yield name, one, other, smaller, larger


def _unbounded(evidence: Evidence) -> Iterator[Look]:
    if WORST in evidence.unbounded:
        worst = evidence.unbounded[WORST]
        yield Look(
            "first-order attacks with a radius that holds every record leave an accuracy of "
            f"{_percent(worst)}, where 0 % can be reached",
            chance_of_count(float(worst.double().sum()), len(worst), LEFT),
            Share.of(worst).low > LEFT,
        )


def _zero(evidence: Evidence) -> Iterator[Look]:
    n = len(evidence.clean)
    for loss, share in evidence.zero_gradient.items():
        yield Look(
            f"the gradient of the {loss.replace('_', '-')} is exactly zero for "
            f"{100 * share:.0f} % of the records",
            chance_of_count(round(share * n), n, ZERO),
            share > ZERO,
        )


def _percent(scores: Tensor) -> str:
    return f"{100 * float(scores.mean()):.1f} %"
