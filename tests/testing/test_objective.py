"""The contract lets right objectives pass and finds what is wrong with each of the others."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from sfumato.nn import Recording
from sfumato.objectives import Emission, Objective, max_entropy
from sfumato.testing import ObjectiveContract


def right(emitted: Recording, _: Tensor) -> Tensor:
    return max_entropy(emitted.log_scales, 2.0)


def vector(emitted: Recording, _: Tensor) -> Tensor:
    return right(emitted, _).expand(2)


def not_a_number(emitted: Recording, _: Tensor) -> Tensor:
    return right(emitted, _) / 0 * 0


def backwards(emitted: Recording, _: Tensor) -> Tensor:
    return -right(emitted, _)


def detached(emitted: Recording, _: Tensor) -> Tensor:
    (scales,) = emitted.log_scales.values()
    return -scales.detach().mean() + 0 * scales.mean()


def wrong_gradient(emitted: Recording, _: Tensor) -> Tensor:
    value = right(emitted, _)
    return value.detach() + 2 * (value - value.detach())


def of_units(emitted: Recording, _: Tensor) -> Tensor:
    return right(emitted, _)


class Counting(Objective):
    """Remembers how often it was called, and does not tell."""

    def __init__(self, stateful: bool = False) -> None:
        self.count, self.own = 0, stateful

    def __call__(self, emission: Emission) -> Tensor:
        return right(emission.recording, emission.labels) * (1 + 0.1 * self.count)

    def step(self, emission: Emission) -> None:
        self.count += 1

    def config(self) -> dict[str, Any]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count} if self.own else {}


class Keeping(Counting):
    stateful = True

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.count = state["count"]


class OwnGenerator(Counting):
    made = 0

    def __init__(self) -> None:
        super().__init__()
        OwnGenerator.made += 1
        self.number = OwnGenerator.made

    def __call__(self, emission: Emission) -> Tensor:
        return right(emission.recording, emission.labels) * (1 + 0.1 * self.number)

    def config(self) -> dict[str, Any]:
        return {"number": self.number}


def run(made: Any, test: str, **attributes: Any) -> None:
    class TestIt(ObjectiveContract):
        @staticmethod
        def make() -> Any:
            return made() if isinstance(made, type) else made

    for name, value in attributes.items():
        setattr(TestIt, name, value)
    case = TestIt()
    case.setup_method()
    try:
        getattr(case, f"test_{test}")()
    finally:
        case.teardown_method()


@pytest.mark.parametrize(
    ("made", "test", "message", "attributes"),
    [
        (vector, "a_finite_scalar", r"a scalar, not \[2\]", {}),
        (not_a_number, "a_finite_scalar", "the objective is not finite", {}),
        (backwards, "more_noise_hides_more", "must fall as the noise grows", {}),
        (backwards, "its_gradient_asks_for_more_noise", "it must be < 0", {}),
        (detached, "its_gradient_asks_for_more_noise", "sums to 0", {}),
        (wrong_gradient, "gradients", "by differences", {}),
        (of_units, "scale_invariance", "in units ten times as small", {"invariant": True}),
        (OwnGenerator, "seeded", "one seed gives two runs", {}),
        (Counting, "its_memory_can_be_kept", "after a state is taken over", {}),
        (
            lambda: Counting(True),
            "its_memory_can_be_kept",
            "must set stateful = True",
            {"make": staticmethod(lambda: Counting(True))},
        ),
        (OwnGenerator, "its_settings_are_told", "two equal objectives tell", {}),
    ],
)
def test_a_broken_objective_is_found(made: Any, test: str, message: str, attributes: Any) -> None:
    with pytest.raises(AssertionError, match=message):
        run(made, test, **attributes)


def test_every_test_of_the_contract_finds_something() -> None:
    (cases,) = [
        mark.args[1]
        for mark in test_a_broken_objective_is_found.pytestmark  # type: ignore[attr-defined]
        if mark.name == "parametrize"
    ]
    tests = {name for name in dir(ObjectiveContract) if name.startswith("test_")}
    assert {f"test_{case[1]}" for case in cases} == tests


def test_right_objectives_pass_and_the_generator_is_left_alone() -> None:
    class TestFunction(ObjectiveContract):
        @staticmethod
        def make() -> Any:
            return right

    class TestMemory(ObjectiveContract):
        @staticmethod
        def make() -> Any:
            return Keeping(True)

    before = torch.get_rng_state()
    TestFunction.check()
    TestMemory.check()
    assert torch.equal(torch.get_rng_state(), before)


def test_an_objective_has_to_be_named() -> None:
    with pytest.raises(NotImplementedError):
        ObjectiveContract.check()
