"""Each reason for the verdict, on scores made by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from sfumato.robustness import AttackRow
from sfumato.robustness.evaluation.job import Outcome
from sfumato.robustness.evaluation.verdict import Evidence, reasons

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


def changed(epsilon: float, **shares: float) -> dict[float, dict[str, float]]:
    named = {name.replace("_", "-"): share for name, share in shares.items()}
    return {**HONEST, epsilon: {**HONEST[epsilon], **named}}


def test_an_honest_network_gives_no_reason() -> None:
    assert reasons(evidence(HONEST)) == ()


@pytest.mark.parametrize(
    ("case", "says"),
    [
        (evidence(changed(0.1, square=0.3)), "the black-box attack square"),
        (evidence(changed(0.1, transfer=0.2)), "the transfer attack transfer"),
        (evidence(changed(0.1, fgsm_cross_entropy=0.3)), "one step on the cross_entropy"),
        (evidence(changed(0.1, pgd_cross_entropy=0.8)), "its gradient is saturated"),
        (evidence(changed(0.2, margin_pgd=0.45)), "a larger ε does not lower it"),
        (evidence(changed(0.2, pgd_cross_entropy=0.7)), "a larger ε does not lower it"),
        (evidence(HONEST, unbounded={"worst": scores(0.06)}), "leave an accuracy of 6.0 %"),
        (evidence(HONEST, zero_gradient={"cross_entropy": 0.3}), "exactly zero for 30 %"),
    ],
)
def test_every_reason(case: Evidence, says: str) -> None:
    found = reasons(case)
    assert any(says in reason for reason in found)


@pytest.mark.parametrize(
    "case",
    [
        evidence(changed(0.1, square=0.445)),  # two records of 400 are chance
        evidence(changed(0.1, fgsm_cross_entropy=0.495)),
        evidence(changed(0.1, pgd_cross_entropy=0.52)),  # losses differ by 7 points
        evidence({0.1: HONEST[0.1], 0.11: HONEST[0.1]}),  # hardly larger
        evidence(HONEST, unbounded={"worst": scores(0.005)}),
        evidence(HONEST, unbounded={}),
        evidence(HONEST, zero_gradient={"cross_entropy": 0.05}),
        evidence({0.1: {"square": 0.2}}),  # nothing to compare it with
    ],
)
def test_what_is_no_reason(case: Evidence) -> None:
    assert reasons(case) == ()


def test_a_level_where_little_is_lost_may_stay_level() -> None:
    robust = {e: {"pgd-cross-entropy": 0.97, "margin-pgd": 0.97} for e in (0.01, 0.02)}
    assert reasons(evidence(robust)) == ()


def test_a_model_without_gradient() -> None:
    row = AttackRow("pgd-cross-entropy", "first-order", "sampled", {}, 0.0, {}, skipped="none")
    blind = Outcome(row, torch.zeros(0), {}, no_gradient=True)
    case = evidence({0.1: {"square": 0.5}})
    found = reasons(Evidence(case.clean, {0.1: [blind]}, "sampled", {}, {}))
    assert len(found) == 1 and "gives no gradient" in found[0]
