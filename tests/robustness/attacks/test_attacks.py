"""What is particular to each attack."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.errors import DataError, MissingDependency, SettingError
from sfumato.robustness.attacks import (
    APGD,
    FGSM,
    PGD,
    CarliniWagner,
    MarginPGD,
    Square,
    Transfer,
)
from sfumato.robustness.attacks.apgd import _State, checkpoints
from sfumato.robustness.attacks.bridge import foolbox_package
from sfumato.robustness.attacks.gradient import Slope
from sfumato.robustness.attacks.square import share_at
from sfumato.robustness.attacks.squares import Window, bump, bumps, stripes, swapped
from sfumato.testing.robustness_attack import accuracy, problem

SHAPE = (1, 8, 8)


class Blown(nn.Module):
    """A network with logits so large that the softmax is saturated."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return 1e6 * self.model(x)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_fgsm_is_foolbox_on_a_model_without_noise(norm: Any) -> None:
    model, x, labels = problem(SHAPE)
    foolbox = foolbox_package()
    native = foolbox.attacks.FGSM() if norm == "linf" else foolbox.attacks.FGM()
    wanted = native.run(
        foolbox.PyTorchModel(model, bounds=(0, 1)),
        x,
        foolbox.criteria.Misclassification(labels),
        epsilon=0.1,
    )
    torch.testing.assert_close(FGSM(epsilon=0.1, norm=norm)(model, x, labels), wanted)


def test_blown_up_logits_stop_the_cross_entropy_alone() -> None:
    model, x, labels = problem(SHAPE)
    left = {
        attack.name: accuracy(model, attack(Blown(model), x, labels), labels)
        for attack in (
            FGSM(epsilon=0.3),
            PGD(epsilon=0.3, steps=10, random_start=False),
            PGD(epsilon=0.3, steps=10, loss="margin"),
            MarginPGD(epsilon=0.3, steps=10),
            APGD(epsilon=0.3, steps=10, loss="dlr"),
            Square(epsilon=0.3, queries=100),
        )
    }
    assert left["fgsm-cross-entropy"] == left["pgd-cross-entropy"] == 1
    rest = {name: share for name, share in left.items() if "cross-entropy" not in name}
    assert len(rest) == 4 and max(rest.values()) == 0


def test_restarts_and_steps_only_help() -> None:
    model, x, labels = problem(SHAPE)
    margins = []
    for restarts in (1, 3):
        torch.manual_seed(0)
        attack = MarginPGD(epsilon=0.05, steps=4, step=0.1, restarts=restarts, stop=False)
        found = attack(model, x, labels)
        logits = model(found)
        others = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
        margins.append((others - logits.gather(1, labels[:, None])[:, 0]).detach())
    assert bool((margins[1] >= margins[0] - 1e-6).all())


def test_a_record_that_is_broken_is_left_alone() -> None:
    model, x, labels = problem(SHAPE)
    calls: list[int] = []
    model.register_forward_pre_hook(lambda module, args: calls.append(len(args[0])))
    MarginPGD(epsilon=1.0, steps=10, restarts=5)(model, x, labels)
    assert sum(calls) < 5 * len(x)
    calls.clear()
    MarginPGD(epsilon=1.0, steps=10, restarts=2, stop=False)(model, x, labels)
    assert calls == [1] + [len(x)] * 22


def test_the_checkpoints_of_the_paper() -> None:
    assert list(checkpoints(100)) == [22, 41, 57, 70, 80, 87, 93, 99]
    assert checkpoints(100)[41] == 22
    assert list(checkpoints(1)) == [1]


def test_apgd_halves_its_step_where_it_stands_still() -> None:
    """On a linear model in one dimension the end is reached at once; then η must shrink."""
    zeros, ones = torch.zeros(2, 1), torch.ones(2, 1)
    first = Slope(torch.tensor([0.0, 0.0]), ones, torch.zeros(2, dtype=torch.bool))
    state = _State.start(torch.arange(2), zeros, first, eta=2.0)
    for step in range(1, 5):
        value = torch.tensor([float(step), -1.0])
        state.move(ones * step, Slope(value, ones, first.broken))
    state.check(4)
    assert state.eta.tolist() == [2.0, 1.0]
    assert state.point[:, 0].tolist() == [4.0, 0.0]  # the second went back to its best
    # rises that add nothing to the best loss, with η unchanged at the last checkpoint
    for _ in range(4):
        state.value = torch.full((2,), -9.0)
        state.move(ones, Slope(torch.tensor([3.0, -1.0]), ones, first.broken))
    state.check(4)
    assert state.eta.tolist() == [1.0, 1.0]
    assert state.point[:, 0].tolist() == [4.0, 1.0 * state.point[1, 0]]


def test_carlini_wagner_goes_past_the_boundary_and_keeps_its_budget() -> None:
    model, x, labels = problem(SHAPE)
    found = CarliniWagner(epsilon=8.0, confidence=0.3, steps=40)(model, x, labels)
    logits = model(found).detach()
    others = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
    beyond = others - logits.gather(1, labels[:, None])[:, 0]
    assert float(beyond.min()) > 0.25
    # and no farther than it must: a random direction of that effect would be many times longer
    assert float((found - x).flatten(1).norm(dim=1).max()) < 2.0
    near = CarliniWagner(epsilon=0.1, confidence=0.3, steps=40)(model, x, labels)
    assert float((near - x).flatten(1).norm(dim=1).max()) <= 0.1 + 1e-5


def test_carlini_wagner_that_finds_nothing_gives_the_record_back() -> None:
    model, x, labels = problem(SHAPE)
    attack = CarliniWagner(epsilon=1.0, steps=1, searches=1, initial=1e-9)
    assert torch.equal(attack(model, x, labels), x)


def test_transfer_asks_nothing_of_the_attacked_model() -> None:
    source, x, labels = problem(SHAPE)
    calls: list[int] = []
    target = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    target.register_forward_pre_hook(lambda module, args: calls.append(len(args[0])))
    found = Transfer(epsilon=0.3, source=source, steps=10)(target, x, labels)
    assert calls == [1]  # the number of its classes
    assert accuracy(source, found, labels) == 0


def test_square_spends_what_it_says() -> None:
    model, x, labels = problem(SHAPE)
    calls: list[int] = []
    model.register_forward_pre_hook(lambda module, args: calls.append(len(args[0])))
    Square(epsilon=0.01, queries=20)(model, x, labels)
    assert sum(calls) - 1 <= 20 * len(x)
    calls.clear()
    Square(epsilon=0.001, queries=20, draws=3)(nn.Sequential(model), x, labels)
    assert sum(calls) - 1 == (3 + 19 * 2 * 3) * len(x)


def test_square_on_pictures_with_channels_and_on_noise() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), sf.nn.StochasticLinear(4 * 49, 5)
    )
    x = torch.rand(6, 3, 9, 9)
    with sf.sampling(model, "mean"):
        labels = model(x).argmax(1)
    found = Square(epsilon=0.9, draws=4, queries=60, average="logits")(model, x, labels)
    with sf.sampling(model, "mean"):
        assert accuracy(model, found, labels) < 0.5


def test_the_share_of_a_square_shrinks() -> None:
    shares = [share_at(0.8, query, 1000) for query in range(1000)]
    assert shares[0] == 0.8 and shares[-1] == 0.8 / 2**8
    assert shares == sorted(shares, reverse=True)


def test_windows() -> None:
    pictures = torch.zeros(200, 2, 5, 7)
    window = Window.random(pictures, 3)
    mask = window.mask()
    assert mask.flatten(1).sum(1).unique().tolist() == [9]
    assert bool(mask.any(0).all())  # every place is reached
    pasted = window.paste(torch.ones(200, 2, 3, 3))
    assert torch.equal(pasted, mask.float().expand(-1, 2, -1, -1))
    assert Window.random(torch.zeros(1, 1, 1, 64), 4).columns == 16


@pytest.mark.parametrize("sides", [(1, 1), (1, 6), (4, 4), (5, 2), (2, 5)])
def test_bumps_have_norm_1(sides: tuple[int, int]) -> None:
    found = bump(*sides, torch.zeros(()))
    assert found.shape == sides
    assert float(found.norm()) == pytest.approx(1)
    assert bool(found.isfinite().all())


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 1, 30), (2, 3, 3)])
def test_moving_a_window_never_leaves_the_ball(shape: tuple[int, ...]) -> None:
    pictures = torch.rand(40, *shape)
    delta = 0.7 * bumps(pictures)
    torch.testing.assert_close(delta.flatten(1).norm(dim=1), torch.full((40,), 0.7))
    for share in (0.5, 0.1, 0.01):
        delta = swapped(delta, share, 0.7)
        norm = delta.flatten(1).norm(dim=1)
        assert float(norm.max()) <= 0.7 + 1e-5
        assert float(norm.min()) > 0.69  # nothing is lost either
    assert stripes(pictures).abs().eq(1).all()


def test_records_run_in_parts_that_fit() -> None:
    model, x, labels = problem(SHAPE)
    calls: list[int] = []
    noisy = nn.Sequential(nn.Identity(), model)
    noisy[0].register_forward_pre_hook(lambda module, args: calls.append(len(args[0])))
    PGD(epsilon=0.1, steps=2, draws=4, max_batch=20)(noisy, x, labels)
    assert max(calls) == 20


def test_foolbox_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "foolbox", None)
    model, x, labels = problem(SHAPE)
    for attack in (FGSM(epsilon=0.1), PGD(epsilon=0.1), CarliniWagner(epsilon=0.1)):
        with pytest.raises(MissingDependency, match=r"sfumato\[defend\]"):
            attack(model, x, labels)
    MarginPGD(epsilon=0.1, steps=2)(model, x, labels)  # ours do without


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: PGD(epsilon=0.1, steps=0), "steps must be at least 1"),
        (lambda: MarginPGD(epsilon=0.1, restarts=0), "restarts must be at least 1"),
        (lambda: MarginPGD(epsilon=0.1, step=0), "step must be above 0"),
        (lambda: Square(epsilon=0.1, queries=0), "queries must be at least 1"),
        (lambda: Square(epsilon=0.1, share=0), "share must be in"),
        (lambda: APGD(epsilon=0.1, loss="hinge"), "unknown loss"),  # pyright: ignore[reportArgumentType]
        (lambda: FGSM(epsilon=0.1, draws=0), "draws must be at least 1"),
        (lambda: CarliniWagner(epsilon=0.1, confidence=0), "confidence must be above 0"),
        (lambda: CarliniWagner(epsilon=0.1, norm="linf"), "has no norm 'linf'"),
        (lambda: CarliniWagner(epsilon=0.1, average="loss"), "averaged logits"),
        (lambda: CarliniWagner(epsilon=0.1, searches=0), "searches must be"),
        (lambda: Transfer(epsilon=0.1), "needs source"),
    ],
)
def test_settings_that_cannot_be(make: Any, says: str) -> None:
    with pytest.raises(SettingError, match=says):
        make()


def test_bounds_are_a_setting() -> None:
    model, x, labels = problem(SHAPE)
    wide = 4 * x - 2
    with pytest.raises(DataError, match="outside of the bounds"):
        FGSM(epsilon=0.1)(model, wide, labels)
    found = FGSM(epsilon=0.5, bounds=(-2.0, 2.0))(model, wide, labels)
    assert float((found - wide).abs().max()) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("x", "labels", "says"),
    [
        (torch.zeros(2, *SHAPE, dtype=torch.uint8), torch.zeros(2).long(), "floating point"),
        (torch.zeros(2, *SHAPE), torch.zeros(2), "whole-number labels"),
        (torch.zeros(2, *SHAPE), torch.zeros(3).long(), "whole-number labels"),
        (torch.zeros(2, *SHAPE), torch.tensor([0, -1]), "labels run from -1"),
        (torch.zeros(2, *SHAPE), torch.tensor([0, 4]), "labels run from 0 to 4"),
    ],
)
def test_data_that_cannot_be(x: Tensor, labels: Tensor, says: str) -> None:
    with pytest.raises(DataError, match=says):
        FGSM(epsilon=0.1)(problem(SHAPE)[0], x, labels)


def test_a_batch_norm_in_training_is_refused() -> None:
    model, x, labels = problem(SHAPE)
    mixed = nn.Sequential(nn.BatchNorm2d(1), model).eval()
    mixed[0].train()
    with pytest.raises(SettingError, match="the norm '0' is in training"):
        FGSM(epsilon=0.1)(mixed, x, labels)
