"""The contract lets a right law pass and finds what is wrong with each of the others."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sfumato.noise import Binomial, Gaussian, NoiseLaw
from sfumato.testing import LawContract
from sfumato.testing.compare import (
    kolmogorov_smirnov,
    kolmogorov_smirnov_limit,
    sign_limit,
    sign_products,
)
from tests.testing import broken

RIGHT = [broken.Right, broken.Cauchy, broken.Logistic, broken.Refusing]
# What the contract must say of each broken law, and in which of its tests.
FOUND: dict[type[broken.Right], tuple[str, str]] = {
    broken.WrongScale: ("samples_follow_the_distribution", "apart by Kolmogorov-Smirnov"),
    broken.WrongLocation: ("sample_mean", "means are off"),
    broken.Unseeded: ("a_draw_is_fresh_and_seeded", "manual_seed does not repeat"),
    broken.Frozen: ("a_draw_is_fresh_and_seeded", "two calls of draw give the same"),
    broken.Overflowing: ("extreme_raw_values", "parameter from torch.float64 is not finite"),
    broken.NotANumberGradient: ("extreme_raw_values", "gradient of the .* is not finite"),
    broken.SharedByRecords: ("every_element_has_noise_of_its_own", "noise is shared"),
    broken.SharedByNeighbours: ("every_element_has_noise_of_its_own", "noise is shared"),
    broken.SharedByElements: ("every_element_has_noise_of_its_own", "noise is shared"),
    broken.WrongMean: ("mean_scale_and_entropy", "mean: "),
    broken.ScaleWithoutLogarithm: ("mean_scale_and_entropy", "log_scale less log"),
    broken.WrongEntropy: ("mean_scale_and_entropy", "not close"),
    broken.CoarseDraw: ("a_draw_has_the_right_form", "ε for torch.bfloat16 is torch.bfloat16"),
    broken.CoarseParameters: ("parameters_are_valid", "raw values became torch.bfloat16"),
    broken.NegativeScale: ("parameters_are_valid", "parameters that are not valid"),
    broken.DrawsInTransform: ("transform_is_deterministic", "two samples for one ε"),
    broken.DeafToSource: ("the_system_source", "takes from torch's generator"),
    broken.Detached: ("gradients", r"no gradient reaches the parameters \[1\]"),
    broken.WrongGradient: ("gradients", "gradient of transform is wrong"),
    broken.Mixing: ("records_do_not_mix", "without the others"),
    broken.Forgetful: ("the_law_is_a_value", "is not equal to it"),
    broken.ItsOwnIdentity: ("the_law_is_a_value", "is not equal to it"),
    broken.Nameless: ("the_law_is_a_value", "does not name the law"),
    broken.AnotherShortCut: ("draw_from_is_draw_and_transform", "draw_from on axis -1 of 2: "),
    broken.OnlyTheLastAxis: ("draw_from_is_draw_and_transform", "draw_from on axis -2 of 3: "),
    broken.InPlace: ("vmap", "vmap"),
    broken.LooksAtValues: ("compiled", "[Dd]ata-dependent"),
    broken.Flat: ("transform_is_deterministic", "a sample of"),
    broken.Mirrored: ("a_location_moves_the_sample", "moved by 2"),
    broken.Padded: ("a_draw_has_the_right_form", "eps_shape says"),
    broken.Learning: ("a_draw_has_the_right_form", "must hold no parameter"),
}


def contract(made: NoiseLaw, test: str) -> None:
    """One test of the contract, as pytest runs it."""

    class TestIt(LawContract):
        law = made

    case = TestIt()
    case.setup_method()
    try:
        getattr(case, f"test_{test}")()
    finally:
        case.teardown_method()


@pytest.mark.parametrize("law", FOUND, ids=lambda law: law.__name__)
def test_a_broken_law_is_found(law: type[broken.Right]) -> None:
    test, message = FOUND[law]
    with pytest.raises((AssertionError, RuntimeError), match=message):
        contract(law(min_scale=0.1), test)


def test_every_test_of_the_contract_finds_something() -> None:
    tests = {name for name in dir(LawContract) if name.startswith("test_")}
    assert {f"test_{test}" for test, _ in FOUND.values()} == tests


def test_every_broken_law_is_tried() -> None:
    laws = {x for x in vars(broken).values() if isinstance(x, type) and issubclass(x, broken.Right)}
    assert laws - set(RIGHT) == set(FOUND)


@pytest.mark.parametrize("right", RIGHT, ids=lambda law: law.__name__)
def test_a_right_law_passes_and_leaves_the_generator_alone(right: type[broken.Right]) -> None:
    class TestIt(LawContract):
        law = right(0.1)
        draws = 20_000

    before = torch.get_rng_state()
    TestIt.check()
    assert torch.equal(torch.get_rng_state(), before)


def test_check_ends_at_the_first_failure() -> None:
    class TestIt(LawContract):
        law = broken.WrongMean(0.1)

    with pytest.raises(AssertionError, match="mean"):
        TestIt.check()


def test_a_straight_through_law_is_not_smooth() -> None:
    with pytest.raises(AssertionError, match="gradient of transform is wrong"):
        contract(Binomial(3), "gradients")


class Outcomes:
    """What came of the tests of a run."""

    def __init__(self) -> None:
        self.of: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self.of[report.nodeid.split("::", 1)[1]] = report.outcome


def test_pytest_collects_the_heir_and_not_the_base(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        "import sfumato as sf\n"
        "from sfumato.testing import LawContract\n"
        "class TestMine(sf.testing.LawContract):\n"
        "    law, draws = sf.noise.Gaussian(0.1), 1_000\n"
    )
    outcomes = Outcomes()
    alone = ["-c", os.devnull, "--rootdir", str(tmp_path), "-p", "no:cacheprovider"]
    pytest.main([str(tmp_path), *alone], plugins=[outcomes])
    tests = [name for name in dir(LawContract) if name.startswith("test_")]
    assert outcomes.of == {f"TestMine::{name}": "passed" for name in tests}


def same(draws: int) -> tuple[torch.Tensor, torch.Tensor]:
    params = torch.zeros(draws, 2), torch.ones(draws, 2)
    law = Gaussian()
    one, two = (law.transform(params, law.draw((draws, 2))) for _ in range(2))
    return one, two


@pytest.mark.parametrize("kind", [lambda x: x, torch.round], ids=["continuous", "discrete"])
def test_kolmogorov_smirnov_by_hand(kind: Callable[[torch.Tensor], torch.Tensor]) -> None:
    one, two = (kind(sample) for sample in same(30))
    for element, found in enumerate(kolmogorov_smirnov(one, two).tolist()):
        edges = [*one[:, element].tolist(), *two[:, element].tolist()]
        wanted = max(
            abs(
                (one[:, element] <= edge).double().mean()
                - (two[:, element] <= edge).double().mean()
            )
            for edge in edges
        )
        assert found == pytest.approx(float(wanted), abs=1e-6)


def test_the_limits_are_kept_as_often_as_they_say() -> None:
    """600 pairs of samples of n = 1,000 from one law; limits for a false alarm of 0.1, seed 0.

    By inequality at most 60 pairs are expected beyond each limit; a binomial number of mean 60
    exceeds 100 with a probability of 5e-7.
    """
    pairs = [same(1000) for _ in range(600)]
    centre = torch.zeros(2)
    far = sum(
        bool((kolmogorov_smirnov(*pair) > kolmogorov_smirnov_limit(1000, 2, 0.1)).any())
        for pair in pairs
    )
    shared = sum(
        bool(
            (sign_products(pair[0], centre) - sign_products(pair[1], centre)).abs().max()
            > sign_limit(1000, 2, 0.1)
        )
        for pair in pairs
    )
    assert 0 < far <= 100
    assert shared <= 100
