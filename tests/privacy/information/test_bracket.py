"""The bracket holds the true information where that is known, and 0 where there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor
from torch.distributions import Binomial, Distribution

from sfumato.data.records import Records
from sfumato.errors import DataError, SettingError
from sfumato.privacy import Bracket, CriticSettings, mutual_information
from sfumato.privacy.information import bracket as bracket_file
from sfumato.privacy.information.gaussian import gaussian_bounds
from sfumato.privacy.information.laws import laws_of
from sfumato.privacy.knowledge import Mechanism
from tests.privacy.toys import (
    Additive,
    ByLabel,
    ByScale,
    Correlated,
    LaplaceNoise,
    Mixed,
    Untold,
    covariance,
    gaussian,
)

SIGMA = covariance(6)
QUICK = CriticSettings(steps=60, check_every=20)
EYE = torch.eye(6).double()


def records(count: int, seed: int, gap: float = 0.0) -> Records:
    """N(± gap, Σ) of two labels."""
    labels = torch.arange(count) % 2
    x = gaussian(count, SIGMA, seed).float() + gap * (2.0 * labels.unsqueeze(1) - 1)
    return Records(x, labels, ("a", "b"))


def found(
    mechanism: Mechanism, critic: CriticSettings = QUICK, *, gap: float = 0.0, given: bool = True
) -> Bracket:
    return mutual_information(
        mechanism, records(2000, 1, gap), records(800, 2, gap), given_label=given, critic=critic
    )


def truth(noise: Tensor) -> float:
    """½ log det (I + N⁻¹ Σ)."""
    return 0.5 * float(torch.logdet(EYE + torch.linalg.solve(noise, SIGMA)))


@pytest.mark.parametrize("given", [True, False], ids=["beyond the label", "in all"])
@pytest.mark.parametrize("noise", [0.1, 0.3, 1.0, 3.0])
def test_the_truth_lies_inside(noise: float, given: bool) -> None:
    bracket = found(Additive(noise), given=given)
    true = truth(noise**2 * EYE)
    # Both ends are means over 800 records: four standard errors, 6e-5 on one side.
    assert bracket.lower - 4 * bracket.lower_error <= true
    assert true <= bracket.upper + 4 * bracket.upper_error
    assert bracket.upper == pytest.approx(true, rel=0.1)
    assert bracket.lower == pytest.approx(min(true, bracket.lower_ceiling), rel=0.2)
    assert (bracket.n, bracket.d, bracket.given_label) == (800, 6, given)


def test_every_bound_is_on_its_side() -> None:
    bounds, true = found(Additive(0.7)).bounds, truth(0.49 * EYE)
    for name in ("gaussian full", "gaussian diagonal", "mixture"):
        assert bounds[name].value + 4 * bounds[name].error >= true
        assert bounds[name].ceiling == math.inf
    for name in ("density", "critic"):
        assert bounds[name].value - 4 * bounds[name].error <= true
    assert bounds["gaussian full"].value < bounds["gaussian diagonal"].value - 0.2
    assert bounds["critic"].value > 0.5 * true


def test_overwhelming_noise_tells_nothing() -> None:
    bracket = found(Additive(100.0))
    assert 0 <= bracket.lower < 0.02
    assert 0 <= bracket.upper < 0.02


def test_the_label_alone_is_left_out_when_given() -> None:
    beyond, whole = (found(Additive(3.0), gap=20.0, given=given) for given in (True, False))
    assert beyond.upper == pytest.approx(truth(9 * EYE), abs=0.1)
    assert whole.lower == pytest.approx(beyond.lower + math.log(2), abs=0.1)


def test_a_ceiling_is_told() -> None:
    bracket = found(Additive(0.001))
    assert bracket.lower == pytest.approx(bracket.lower_ceiling)
    assert bracket.lower_ceiling == pytest.approx(math.log(1001))
    assert bracket.upper > 20


def test_correlated_noise() -> None:
    root = 1.5 * torch.linalg.cholesky(SIGMA)
    bracket = found(Correlated(root))
    true = truth(2.25 * SIGMA)
    assert bracket.lower - 4 * bracket.lower_error <= true
    assert true <= bracket.upper + 4 * bracket.upper_error
    assert bracket.upper == pytest.approx(true, rel=0.1)


def test_a_release_of_another_size() -> None:
    weight = torch.randn(3, 6)
    w = weight.double()
    true = 0.5 * float(torch.logdet(torch.eye(3).double() + w @ SIGMA @ w.T / 0.25))
    bracket = found(Mixed(weight, 0.5))
    assert bracket.d == 3
    assert bracket.lower - 4 * bracket.lower_error <= true
    assert true <= bracket.upper + 4 * bracket.upper_error


def test_a_scale_that_follows_the_record() -> None:
    # The location says nothing, so the Gaussian bound is far above; the density is not.
    parts = records(2000, 1), records(800, 2)
    positive = [replace(part, inputs=part.inputs.abs()) for part in parts]
    bracket = mutual_information(ByScale(), *positive, critic=QUICK)
    assert 0.3 < bracket.lower < bracket.upper
    assert bracket.bounds["mixture"].value < bracket.bounds["gaussian full"].value


def test_a_scale_for_each_label() -> None:
    values = [torch.tensor(v) for v in ([1.0, 1.0], [0.0, 3.0], [0.5, 2.0])]
    bracket = found(ByLabel(*values))
    true = (truth(0.25 * EYE) + truth(4 * EYE)) / 2
    assert bracket.lower - 4 * bracket.lower_error <= true
    assert true <= bracket.upper + 4 * bracket.upper_error


def test_laplace_noise_on_fewer_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = found(LaplaceNoise(0.5))
    monkeypatch.setattr(bracket_file, "_PAIRS", 500_000)
    few = found(LaplaceNoise(0.5))
    assert few.lower_ceiling < whole.lower_ceiling
    # Laplace noise hides less than the Gaussian of its variance, 2 b².
    assert whole.upper > truth(0.5 * EYE)
    assert 0.8 * truth(0.5 * EYE) < whole.lower < whole.upper
    assert few.bounds["mixture"].value == pytest.approx(whole.bounds["mixture"].value, abs=0.5)


def test_an_unknown_law_has_a_lower_bound_alone() -> None:
    bracket = found(Untold(Additive(0.5)), CriticSettings(steps=150))
    assert bracket.upper == math.inf
    assert set(bracket.bounds) == {"critic"}
    assert 0.5 < bracket.lower < truth(0.25 * EYE)


@dataclass(frozen=True)
class Counts:
    """How many of 20 trials succeed: a law of whole numbers."""

    def distribution(self, x: Tensor, selection: Tensor) -> Distribution:
        return Binomial(20, logits=x)

    def release(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.distribution(x, labels).sample()


def test_a_discrete_law_has_no_gaussian_bound() -> None:
    bracket = found(Counts())
    assert set(bracket.bounds) == {"mixture", "density", "critic"}
    assert 0.5 < bracket.lower < bracket.upper < math.inf


def test_held_out_records_keep_the_bound_above() -> None:
    # 60 records of 30 elements: the log determinant of their own covariance is far too small.
    sigma = covariance(30)
    few, many = (
        Records(gaussian(n, sigma, seed).float(), torch.zeros(n, dtype=torch.long), ("a",))
        for n, seed in ((60, 1), (3000, 2))
    )
    true = 0.5 * float(torch.logdet(torch.eye(30).double() + sigma / 0.09))
    own, target = laws_of(Additive(0.3), few, many)
    held_out = gaussian_bounds(own, target, 1, given_label=True, seed=0)["full"]
    plug_in = gaussian_bounds(own, own, 1, given_label=True, seed=0)["full"]
    assert float(held_out.mean()) > true
    assert float(plug_in.mean()) < float(held_out.mean()) - 1


def test_one_seed_gives_one_bracket() -> None:
    first = found(Additive(1.0))
    before = torch.get_rng_state()
    assert found(Additive(1.0)) == first
    assert torch.equal(before, torch.get_rng_state())


def test_no_critic() -> None:
    bracket = found(Additive(1.0), CriticSettings(steps=0))
    assert "critic" not in bracket.bounds
    assert bracket.lower == bracket.bounds["density"].value


@pytest.mark.parametrize("counts", [(1, 5), (5, 1)])
def test_too_few_records(counts: tuple[int, int]) -> None:
    with pytest.raises(DataError, match="at least two auxiliary records"):
        mutual_information(Additive(1.0), records(counts[0], 1), records(counts[1], 2))


@pytest.mark.parametrize("name", ["batch_size", "lr", "width", "check_every", "patience"])
def test_the_budget(name: str) -> None:
    wrong = {name: 0}
    with pytest.raises(SettingError, match=f"{name} must be above 0"):
        CriticSettings(**wrong)
