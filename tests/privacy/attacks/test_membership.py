"""Membership: an overfitted model betrays the records it has seen, and no others."""

from __future__ import annotations

import sys
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.data.records import Records
from sfumato.errors import DataError, MissingDependency, SettingError
from sfumato.privacy.attacks import MembershipAttack, Scene
from sfumato.privacy.attacks.thresholds import area, balanced, best_threshold, caught_at
from tests.privacy.toys import Additive

SIZE = 100


def records(seed: int, count: int = SIZE) -> Records:
    """Labels that records say nothing of: what is predicted rightly was learned by heart."""
    order = torch.Generator().manual_seed(seed)
    return Records(torch.randn(count, 8, generator=order), torch.arange(count) % 2, ("a", "b"))


CLEAN, RELEASED, OTHERS = records(1), records(2), records(3, 2 * SIZE)


@cache
def overfitted() -> tuple[nn.Module, Tensor]:
    """A model that knows the clean part and the stored releases by heart, and these."""
    with torch.random.fork_rng(), torch.enable_grad():
        torch.manual_seed(0)
        stored = Additive(1.0).release(RELEASED.inputs, RELEASED.labels)
        model = nn.Sequential(nn.Linear(8, 128), nn.ReLU(), nn.Linear(128, 2))
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        x, labels = torch.cat([CLEAN.inputs, stored]), torch.cat([CLEAN.labels, RELEASED.labels])
        for _ in range(150):
            loss = F.cross_entropy(model(x), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model, stored


def stage(model: nn.Module | None = None, seed: int = 0) -> Scene:
    return Scene.of(Additive(1.0), OTHERS, OTHERS.subset([0, 1]), model=model, seed=seed)


def test_the_clean_part_is_betrayed_and_the_release_too() -> None:
    model, stored = overfitted()
    outcome = MembershipAttack(CLEAN, RELEASED, OTHERS, stored=stored).run(stage(model))
    assert outcome.figures["clean"] > 0.75
    assert outcome.figures["clean_auc"] > 0.8
    # Who holds the stored release finds it; who holds the clean record finds less.
    assert outcome.figures["stored_loss"] > 0.75
    assert outcome.figures["released_loss"] < outcome.figures["stored_loss"] - 0.1
    assert outcome.figures[outcome.headline] >= outcome.figures["stored_loss"]


def test_the_toolbox_finds_them_too() -> None:
    model, _ = overfitted()
    figures = MembershipAttack(CLEAN, RELEASED, OTHERS, model).run(stage()).figures
    # Its rule: 0.5 of the others are predicted rightly, all members: 0.75.
    assert figures["clean_rule"] == pytest.approx(0.75, abs=0.1)
    assert figures["clean_learned"] > 0.6


def test_chance_where_nothing_was_learned() -> None:
    model = nn.Sequential(nn.Linear(8, 128), nn.ReLU(), nn.Linear(128, 2))
    clean, released, others = (records(seed, 1000) for seed in (4, 5, 6))
    outcome = MembershipAttack(clean, released, others, model).run(stage())
    # 500 members and 500 others: the standard error is 0.016, the largest of three near 0.5.
    assert outcome.chance == 0.5
    assert outcome.figures["released"] == pytest.approx(0.5, abs=0.08)
    assert outcome.figures["released_auc"] == pytest.approx(0.5, abs=0.08)
    assert outcome.figures["released_tpr_at_1_percent"] < 0.05


def test_one_seed_gives_one_outcome_and_leaves_all_as_it_was() -> None:
    model, stored = overfitted()
    model.train()
    attack = MembershipAttack(CLEAN, RELEASED, OTHERS, model, stored=stored)
    ours, theirs = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]
    first = attack.run(stage())
    assert torch.equal(torch.get_rng_state(), ours)
    assert (np.random.get_state()[1] == theirs).all()  # type: ignore[index]
    torch.manual_seed(5)
    np.random.seed(5)
    assert attack.run(stage()).figures == first.figures
    assert model.training
    assert attack.name == "membership"


@pytest.mark.parametrize("kind", ["lr", "nn"])
def test_other_attack_models(kind: str) -> None:
    model, _ = overfitted()
    attack = MembershipAttack(CLEAN, RELEASED, OTHERS, model, kind=kind)  # type: ignore[arg-type]
    figures = attack.run(stage()).figures
    assert 0.3 < figures["clean_learned"] <= 1


def test_no_model() -> None:
    with pytest.raises(SettingError, match="needs the trained model"):
        MembershipAttack(CLEAN, RELEASED, OTHERS).run(stage())


def test_no_logits() -> None:
    with pytest.raises(SettingError, match=r"must give logits \[N, 2 or more\], not \[200, 1\]"):
        MembershipAttack(CLEAN, RELEASED, OTHERS, nn.Linear(8, 1)).run(stage())


def test_too_few_records() -> None:
    few = CLEAN.subset(range(9))
    with pytest.raises(DataError, match="at least 10 released members, not 9"):
        MembershipAttack(CLEAN, few, OTHERS)
    with pytest.raises(DataError, match="5 stored releases of 100 records"):
        MembershipAttack(CLEAN, RELEASED, OTHERS, stored=torch.zeros(5, 8))


def test_without_the_toolbox(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name == "art" or name.startswith("art."):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "art", None)
    with pytest.raises(MissingDependency, match=r"sfumato\[audit\]"):
        MembershipAttack(CLEAN, RELEASED, OTHERS, overfitted()[0]).run(stage())


def test_area_counts_ties_one_half() -> None:
    assert area(torch.tensor([1.0, 2.0]), torch.tensor([0.0, -1.0])) == 1
    assert area(torch.tensor([1.0, 1.0]), torch.tensor([1.0, 1.0])) == 0.5
    assert area(torch.tensor([3.0, 1.0]), torch.tensor([2.0])) == 0.5
    members, others = torch.randn(50).round(), torch.randn(30).round()
    above = (members.unsqueeze(1) > others).double() + 0.5 * (members.unsqueeze(1) == others)
    assert area(members, others) == pytest.approx(float(above.mean()))


def test_caught_at_a_share_of_false_alarms() -> None:
    others = torch.arange(100.0)
    assert caught_at(torch.tensor([98.5, 99.5, 1.0, 98.0]), others, 0.01) == 0.5
    assert caught_at(others, others, 0.01) == pytest.approx(0.01)


def test_the_best_threshold() -> None:
    members, others = torch.tensor([2.0, 3.0, 4.0, 0.0]), torch.tensor([0.5, 1.0, 1.5, 3.5])
    threshold = best_threshold(members, others)
    assert balanced(members > threshold, others > threshold) == 0.75
