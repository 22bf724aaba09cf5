"""Which attacks the suite holds, and what they are aimed at."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from torch import nn

from sfumato.errors import SettingError
from sfumato.robustness import standard_attacks
from sfumato.robustness.attacks import APGD, FGSM, PGD, MarginPGD, Square, Transfer
from sfumato.robustness.evaluation.suite import entries_of


def names(**settings: Any) -> list[str]:
    return [attack.name for attack in standard_attacks(**settings)]


def test_the_standard_suite() -> None:
    usual = ["fgsm-cross-entropy", "pgd-cross-entropy", "margin-pgd", "apgd-cross-entropy"]
    assert names() == [*usual, "apgd-dlr", "square"]
    assert names(classes=2)[4] == "apgd-margin"
    assert names(draws=4)[4:] == ["margin-pgd", "apgd-dlr", "square"]
    assert "carlini-wagner" in names(norm="l2")
    assert names(quick=True, undefended=nn.Linear(4, 3))[-2:] == ["transfer", "square"]


def test_queries_of_the_black_box() -> None:
    """A noisy model's cost 2 · draws evaluations each: they are fewer, and still dearer."""

    def queries(**settings: Any) -> int:
        (found,) = [one for one in standard_attacks(**settings) if isinstance(one, Square)]
        return found.queries

    assert queries() == 2000
    assert queries(draws=8) == 300
    assert queries(quick=True) == queries(quick=True, draws=8) == 100


def test_every_prediction_of_a_stochastic_model_is_attacked() -> None:
    attacks = standard_attacks(draws=4)
    alone = standard_attacks(draws=1)
    entries = entries_of(attacks, "linf", stochastic=True, at_mean=alone)
    assert {entry.target for entry in entries} == {"sampled", "averaged", "mean"}
    assert len({entry.key for entry in entries}) == len(entries)
    at_mean = [entry.attack for entry in entries if entry.target == "mean"]
    assert {attack.draws for attack in at_mean} == {1}
    # it is attacked as a deterministic network is, for a pass costs as much
    assert [replace(one, stop=False) for one in at_mean if isinstance(one, MarginPGD)] == [
        replace(one, stop=False) for one in alone if isinstance(one, MarginPGD)
    ]
    assert [one.queries for one in at_mean if isinstance(one, Square)] == [2000]
    assert sum(isinstance(one, APGD) for one in at_mean) == 2
    # noise would undo what stops at the boundary of the mean path
    assert not any(getattr(attack, "stop", False) for attack in at_mean)


def test_without_noise_one_draw_is_all() -> None:
    attacks = standard_attacks(draws=4)
    entries = entries_of(attacks, "linf", stochastic=False)
    assert {(entry.target, entry.attack.draws) for entry in entries} == {("sampled", 1)}


def test_attacks_of_one_name_are_numbered_and_equal_ones_run_once() -> None:
    one, other = PGD(epsilon=1.0, steps=5), PGD(epsilon=1.0, steps=9)
    entries = entries_of([one, other, one], "linf", stochastic=False)
    assert [entry.name for entry in entries] == ["pgd-cross-entropy", "pgd-cross-entropy-2"]


def test_transfers_from_two_networks_are_two() -> None:
    one, other = nn.Linear(4, 3), nn.Linear(4, 3)
    attacks = [Transfer(epsilon=1.0, source=source) for source in (one, other, one)]
    entries = entries_of(attacks, "linf", stochastic=False)
    assert [entry.name for entry in entries] == ["transfer", "transfer-2"]


@pytest.mark.parametrize(
    ("attacks", "says"),
    [
        ([], "a list of sfumato's attacks"),
        ([lambda model, x, labels: x], "a list of sfumato's attacks"),
        ([FGSM(epsilon=1.0, norm="l2"), Square(epsilon=1.0)], "not that of fgsm-cross-entropy"),
    ],
)
def test_suites_that_cannot_be(attacks: Any, says: str) -> None:
    with pytest.raises(SettingError, match=says):
        entries_of(attacks, "linf", stochastic=False)
