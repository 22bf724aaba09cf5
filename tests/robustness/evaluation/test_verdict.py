"""Each reason for the verdict, on scores made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from sfumato.robustness import AttackRow
from sfumato.robustness.evaluation.job import Outcome
from sfumato.robustness.evaluation.verdict import Evidence, judge, plateaus

N = 400
KINDS = {"transfer": "transfer", "square": "black-box"}


def scores(share: float) -> Tensor:
    return (torch.arange(N) < share * N).float()


def outcome(name: str, share: float) -> Outcome:
    loss = "margin" if name in ("margin-pgd", "transfer", "square") else "cross_entropy"
    budget: dict[str, Any] = {"loss": loss, **({} if name.startswith("fgsm") else {"steps": 40})}
    kind = KINDS.get(name, "first-order")
    row = AttackRow(name, kind, "sampled", {}, 0.1, budget)
    return Outcome(row, torch.zeros(0), {"sampled": scores(share)})


def evidence(levels: dict[float, dict[str, float]], **changes: Any) -> Evidence:
    made = {e: [outcome(name, share) for name, share in one.items()] for e, one in levels.items()}
    given: dict[str, Any] = {
        "clean": scores(0.98),
        "levels": made,
        "prediction": "sampled",
        "unbounded": {"margin-pgd": scores(0), "worst": scores(0)},
        "zero_gradient": {"cross_entropy": 0.0, "margin": 0.0},
    }
    return Evidence(**{**given, **changes})


HONEST = {
    0.1: {
        "fgsm-cross-entropy": 0.6,
        "pgd-cross-entropy": 0.5,
        "margin-pgd": 0.45,
        "transfer": 0.7,
        "square": 0.5,
    },
    0.2: {"fgsm-cross-entropy": 0.1, "pgd-cross-entropy": 0.02, "margin-pgd": 0.0, "square": 0.01},
}


NONE = ("no sign of gradient masking", ())


def changed(epsilon: float, **shares: float) -> dict[float, dict[str, float]]:
    named = {name.replace("_", "-"): share for name, share in shares.items()}
    return {**HONEST, epsilon: {**HONEST[epsilon], **named}}


def test_an_honest_network_gives_no_reason() -> None:
    assert judge(evidence(HONEST)) == NONE


@pytest.mark.parametrize(
    ("case", "says"),
    [
        (evidence(changed(0.1, square=0.3)), "the black-box attack square"),
        (evidence(changed(0.1, transfer=0.2)), "the transfer attack transfer"),
        (evidence(changed(0.1, fgsm_cross_entropy=0.3)), "one step on the cross_entropy"),
        (evidence(changed(0.1, pgd_cross_entropy=0.8)), "its gradient is saturated"),
        (evidence(changed(0.2, margin_pgd=0.6)), "a larger ε raises it"),
        (evidence(changed(0.2, pgd_cross_entropy=0.7)), "a larger ε raises it"),
        (evidence(HONEST, unbounded={"worst": scores(0.06)}), "leave an accuracy of 6.0 %"),
        (evidence(HONEST, zero_gradient={"cross_entropy": 0.3}), "exactly zero for 30 %"),
    ],
)
def test_every_reason(case: Evidence, says: str) -> None:
    verdict, found = judge(case)
    assert verdict == "gradient masking"
    assert any(says in reason for reason in found)


@pytest.mark.parametrize(
    "case",
    [
        evidence(changed(0.1, square=0.445)),  # two records of 400 are chance
        evidence(changed(0.1, fgsm_cross_entropy=0.495)),
        evidence(changed(0.1, pgd_cross_entropy=0.52)),  # losses differ by 7 points
        evidence({0.1: HONEST[0.1], 0.2: HONEST[0.1]}),  # margins that lie nowhere between
        evidence(HONEST, unbounded={"worst": scores(0.005)}),
        evidence(HONEST, unbounded={}),
        evidence(HONEST, zero_gradient={"cross_entropy": 0.05}),
        evidence({0.1: {"square": 0.2}}),  # nothing to compare it with
    ],
)
def test_what_is_no_reason(case: Evidence) -> None:
    assert judge(case) == NONE


def test_a_plateau_is_worth_a_note_and_no_reason() -> None:
    """Half of the records near to the boundary, the others far: the true accuracy stays level."""
    level = evidence({0.1: HONEST[0.1], 0.2: HONEST[0.1]})
    assert judge(level) == NONE
    assert [("50.0 %" in note, "45.0 %" in note) for note in plateaus(level)] == [
        (True, False),
        (False, True),
    ]
    hardly_larger = {0.1: HONEST[0.1], 0.11: HONEST[0.1]}
    little_lost = {e: {"pgd-cross-entropy": 0.97, "margin-pgd": 0.97} for e in (0.01, 0.02)}
    for levels in (HONEST, hardly_larger, little_lost):
        assert not list(plateaus(evidence(levels)))


def test_many_comparisons_are_reckoned_with() -> None:
    """A difference with a probability of one in 1,000 alone is none among 40 others."""
    case = evidence(changed(0.1, square=0.425))  # ten of 400 records, one way
    alone = Evidence(case.clean, {0.1: case.levels[0.1][2::2]}, "sampled", {}, {})
    assert judge(alone)[0] == "gradient masking"
    many = replace(case, levels={0.1 + e / 1000: case.levels[0.1] for e in range(40)})
    verdict, found = judge(many)
    assert verdict == "too few records to tell"
    assert "in one of " in found[0]


def test_a_model_without_gradient() -> None:
    row = AttackRow("pgd-cross-entropy", "first-order", "sampled", {}, 0.0, {}, skipped="none")
    blind = Outcome(row, torch.zeros(0), {}, no_gradient=True)
    case = evidence({0.1: {"square": 0.5}})
    verdict, found = judge(Evidence(case.clean, {0.1: [blind]}, "sampled", {}, {}))
    assert verdict == "gradient masking"
    assert len(found) == 1 and "gives no gradient" in found[0]


def first(case: Evidence, n: int) -> Evidence:
    """The same on the first of every 400 / n records."""
    step = N // n
    levels = {
        epsilon: [replace(one, scores={k: v[::step] for k, v in one.scores.items()}) for one in row]
        for epsilon, row in case.levels.items()
    }
    far = {name: scores[::step] for name, scores in case.unbounded.items()}
    return replace(case, clean=case.clean[::step], levels=levels, unbounded=far)


@pytest.mark.parametrize(
    ("case", "says"),
    [
        (evidence(changed(0.1, square=0.1)), "the black-box attack square"),
        (evidence(changed(0.1, fgsm_cross_entropy=0.1)), "one step on the cross_entropy"),
        (evidence(changed(0.1, pgd_cross_entropy=0.8)), "its gradient is saturated"),
        (evidence(changed(0.2, margin_pgd=0.6)), "a larger ε raises it"),
        (evidence(HONEST, unbounded={"worst": scores(0.1)}), "where 0 % can be reached"),
        (evidence(HONEST, zero_gradient={"cross_entropy": 0.3}), "exactly zero for 30 %"),
    ],
)
def test_few_records_cannot_tell(case: Evidence, says: str) -> None:
    """On 400 records it is masking; on 10 chance explains it, and the probability is said."""
    assert judge(case)[0] == "gradient masking"
    verdict, found = judge(first(case, 10))
    assert verdict == "too few records to tell"
    assert any(says in reason for reason in found)
    assert all("on 10 records this is seen by chance with a probability of 0." in r for r in found)


def test_few_records_may_be_enough() -> None:
    case = first(evidence(HONEST, unbounded={"worst": scores(0.8)}), 10)
    assert judge(case)[0] == "gradient masking"


def scored(name: str, values: Tensor) -> Outcome:
    return replace(outcome(name, 0), scores={"sampled": values})


def test_honest_networks_on_few_records() -> None:
    """Attacks of equal strength on 8 records that the larger ε fells one time in ten.

    Of 500 such samples, one in 740 each may be held for masking, by each of two comparisons: more
    than 6 have a probability of 4e-4.
    """
    generator = torch.Generator().manual_seed(0)
    found = []
    for _ in range(500):
        left = (torch.rand(8, generator=generator) < 0.5).float()
        fewer = left * (torch.rand(8, generator=generator) < 0.9).float()
        square = (torch.rand(8, generator=generator) < left.mean()).float()
        levels = {
            0.1: [scored("pgd-cross-entropy", left), scored("square", square)],
            0.2: [scored("pgd-cross-entropy", fewer)],
        }
        found.append(judge(Evidence(torch.ones(8), levels, "sampled", {}, {}))[0])
    assert found.count("gradient masking") <= 6
    assert found.count("too few records to tell") > 100
