"""Every attack passes the contract, and the contract finds attacks that break it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from sfumato.robustness import ExpectedModel
from sfumato.robustness.attacks import (
    APGD,
    FGSM,
    PGD,
    Attack,
    CarliniWagner,
    MarginPGD,
    Square,
    Transfer,
)
from sfumato.testing import RobustnessAttackContract
from sfumato.testing.robustness_attack import problem


class L2(RobustnessAttackContract):
    radii = (0.1, 2.0)
    unbounded = 8.0


class TestFGSM(RobustnessAttackContract):
    def make(self, epsilon: float, draws: int = 1) -> FGSM:
        return FGSM(epsilon=epsilon, draws=draws)


class TestFGSML2(L2):
    def make(self, epsilon: float, draws: int = 1) -> FGSM:
        return FGSM(epsilon=epsilon, draws=draws, norm="l2", loss="margin")


class TestPGD(RobustnessAttackContract):
    def make(self, epsilon: float, draws: int = 1) -> PGD:
        return PGD(epsilon=epsilon, draws=draws, steps=10, step=0.25)


class TestPGDL2(L2):
    def make(self, epsilon: float, draws: int = 1) -> PGD:
        return PGD(epsilon=epsilon, draws=draws, norm="l2", steps=10, step=0.25)


class TestMarginPGD(RobustnessAttackContract):
    def make(self, epsilon: float, draws: int = 1) -> MarginPGD:
        return MarginPGD(epsilon=epsilon, draws=draws, steps=10)


class TestMarginPGDL2(L2):
    def make(self, epsilon: float, draws: int = 1) -> MarginPGD:
        return MarginPGD(epsilon=epsilon, draws=draws, norm="l2", average="logits", steps=10)


class TestAPGD(RobustnessAttackContract):
    def make(self, epsilon: float, draws: int = 1) -> APGD:
        return APGD(epsilon=epsilon, draws=draws, steps=10)


class TestAPGDRatio(L2):
    def make(self, epsilon: float, draws: int = 1) -> APGD:
        return APGD(epsilon=epsilon, draws=draws, norm="l2", loss="dlr", steps=10, restarts=2)


class TestSquare(RobustnessAttackContract):
    needs_gradient = False

    def make(self, epsilon: float, draws: int = 1) -> Square:
        return Square(epsilon=epsilon, draws=draws, queries=150)


class TestSquareL2(L2):
    needs_gradient = False

    def make(self, epsilon: float, draws: int = 1) -> Square:
        return Square(epsilon=epsilon, draws=draws, norm="l2", queries=150)


class TestCarliniWagner(L2):
    def make(self, epsilon: float, draws: int = 1) -> CarliniWagner:
        return CarliniWagner(epsilon=epsilon, draws=draws, confidence=0.2, steps=25, searches=3)


class TestTransfer(RobustnessAttackContract):
    shapes = ((1, 8, 8),)
    needs_gradient = False

    def make(self, epsilon: float, draws: int = 1) -> Transfer:
        return Transfer(epsilon=epsilon, draws=draws, source=problem((1, 8, 8))[0], steps=10)


@dataclass(frozen=True, kw_only=True)
class Noisy(Attack):
    """Goes to a random corner of the ball: it breaks little."""

    @property
    def name(self) -> str:
        return "random-corner"

    def perturb(self, model: ExpectedModel, x: Tensor, labels: Tensor) -> Tensor:
        return self.ball.project(x + self.epsilon * torch.randn_like(x).sign(), x)


class Far(Noisy):
    def perturb(self, model: ExpectedModel, x: Tensor, labels: Tensor) -> Tensor:
        return (x + 2 * self.epsilon).clamp(0, 1)


class Outside(Noisy):
    def perturb(self, model: ExpectedModel, x: Tensor, labels: Tensor) -> Tensor:
        return x + self.epsilon


class Broken(Noisy):
    def perturb(self, model: ExpectedModel, x: Tensor, labels: Tensor) -> Tensor:
        return x * torch.nan


class Flat(Noisy):
    def perturb(self, model: ExpectedModel, x: Tensor, labels: Tensor) -> Tensor:
        return x.flatten(1)[:, :2]


class Loud(Noisy):
    @property
    def name(self) -> str:
        return "Random Corner"


class Overwriting(Noisy):
    def perturb(self, model: ExpectedModel, x: Tensor, labels: Tensor) -> Tensor:
        return x.mul_(1.0).add_(0.01).clamp_(0, 1)


class Training(Noisy):
    def perturb(self, model: ExpectedModel, x: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(0.5)
        return x


class Collecting(Noisy):
    def perturb(self, model: ExpectedModel, x: Tensor, labels: Tensor) -> Tensor:
        parameters = list(model.parameters())
        with torch.enable_grad():
            for parameter in parameters:
                parameter.requires_grad_()
            model(x).sum().backward()
        return x


class Unseeded(Noisy):
    def perturb(self, model: ExpectedModel, x: Tensor, labels: Tensor) -> Tensor:
        with torch.random.fork_rng():
            torch.seed()
            return super().perturb(model, x, labels)


@pytest.mark.parametrize(
    ("attack", "test", "says"),
    [
        (Noisy, "test_it_lowers_accuracy", "it leaves an accuracy of"),
        (Noisy, "test_it_lowers_accuracy_under_noise", "under weak noise"),
        (Noisy, "test_a_model_without_gradient", "a model without gradient"),
        (Loud, "test_what_it_is_called", "is no name"),
        (Unseeded, "test_one_seed_gives_one_outcome", "two runs under one seed"),
        (Overwriting, "test_it_leaves_everything_as_it_was", "records or the labels"),
        (Training, "test_it_leaves_everything_as_it_was", "it changes 1.weight"),
        (Collecting, "test_it_leaves_everything_as_it_was", "1.weight.grad"),
    ],
)
def test_a_contract_that_is_broken(attack: type[Noisy], test: str, says: str) -> None:
    class Mine(RobustnessAttackContract):
        def make(self, epsilon: float, draws: int = 1) -> Attack:
            return attack(epsilon=epsilon, draws=draws)

    with pytest.raises(AssertionError, match=re.escape(says)):
        getattr(Mine(), test)()


@pytest.mark.parametrize(
    ("attack", "says"),
    [
        (Far, "left its ball by 0.02"),
        (Outside, "left its ball"),
        (Broken, "left its ball by inf"),
        (Flat, r"gave \[12, 2\] for records \[12, 1, 8, 8\]"),
    ],
)
def test_an_attack_that_leaves_its_ball_is_stopped(attack: type[Noisy], says: str) -> None:
    model, x, labels = problem((1, 8, 8))
    epsilon = 0.8 if attack is Outside else 0.02
    with pytest.raises(ValueError, match=says):
        attack(epsilon=epsilon)(model, x, labels)


def test_a_model_in_training_is_attacked_in_evaluation() -> None:
    model, x, labels = problem((1, 8, 8))
    noisy = nn.Sequential(nn.Dropout(0.9), model).train()
    quiet = MarginPGD(epsilon=0.1, steps=3)(model, x, labels)
    assert torch.equal(MarginPGD(epsilon=0.1, steps=3)(noisy, x, labels), quiet)
    assert noisy[0].training
