"""The analytic Gaussian mechanism against dp-accounting, and where others return garbage."""

from __future__ import annotations

import math
from typing import Any

import dp_accounting
import pytest

from sfumato.errors import SettingError
from sfumato.privacy import gaussian_epsilon, gaussian_sigma

DELTAS = (1e-12, 1e-9, 1e-7, 1e-5, 1e-3, 0.1, 0.3)


@pytest.mark.parametrize("delta", DELTAS)
@pytest.mark.parametrize("ratio", [0.05, 0.1, 0.5, 1.0, 2.0, 10.0, 100.0, 1000.0])
@pytest.mark.parametrize("diameter", [0.3, 7.0])
def test_as_dp_accounting(delta: float, ratio: float, diameter: float) -> None:
    # sigma / D, and no neighbouring relation: the relation's flag would double D, or not
    expected = dp_accounting.get_epsilon_gaussian(ratio, delta)
    assert gaussian_epsilon(diameter, ratio * diameter, delta) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("releases", [1, 2, 10, 100])
def test_releases_add_up_as_in_a_privacy_loss_distribution(releases: int) -> None:
    from dp_accounting.pld import privacy_loss_distribution as pld

    one = pld.from_gaussian_mechanism(
        4.0, sensitivity=2.0, value_discretization_interval=1e-4, use_connect_dots=True
    )
    expected = one.self_compose(releases).get_epsilon_for_delta(1e-5)
    found = gaussian_epsilon(2.0, 4.0, 1e-5, releases)
    assert found == pytest.approx(expected, rel=1e-3)
    assert found == gaussian_epsilon(2.0 * math.sqrt(releases), 4.0, 1e-5)


@pytest.mark.parametrize(
    ("ratio", "epsilon"), [(0.5, 1.99), (1.0, 4.38), (2.0, 10.0), (2.0 * math.sqrt(10), 46.2)]
)
def test_known_figures(ratio: float, epsilon: float) -> None:
    assert gaussian_epsilon(ratio, 1.0, 1e-5) == pytest.approx(epsilon, rel=3e-3)


@pytest.mark.parametrize("epsilon", [1e-6, 1e-3, 0.1, 1.0, 20.0, 1e4])
@pytest.mark.parametrize("delta", [1e-300, 1e-30, *DELTAS, 0.5])
def test_sigma_is_the_inverse(epsilon: float, delta: float) -> None:
    sigma = gaussian_sigma(3.0, epsilon, delta, releases=4)
    assert 0 < sigma < math.inf
    assert gaussian_epsilon(3.0, sigma, delta, releases=4) == pytest.approx(epsilon, rel=1e-8)


def log_delta(epsilon: float, mu: float) -> float:
    """log δ with 80 digits."""
    import mpmath

    with mpmath.workdps(80):
        e, m = mpmath.mpf(epsilon), mpmath.mpf(mu)
        first, second = mpmath.ncdf(m / 2 - e / m), mpmath.ncdf(-m / 2 - e / m)
        return float(mpmath.log(first - mpmath.exp(e) * second))


@pytest.mark.parametrize(
    ("mu", "delta"),
    [
        (1e-9, 1e-10), (1e-6, 1e-12), (1e-3, 1e-300), (1.0, 1e-300), (140.0, 1e-5),
        (140.0, 1e-300), (5.0, 0.97), (30.0, 1 - 1e-10), (0.05, 1e-40),
    ],
)  # fmt: skip
def test_extreme_figures(mu: float, delta: float) -> None:
    epsilon = gaussian_epsilon(mu, 1.0, delta)
    assert epsilon > 0
    slope = abs(math.log(delta)) + 1  # of what the last digit of δ itself is worth
    assert log_delta(epsilon, mu) == pytest.approx(math.log(delta), abs=1e-12 * slope)


def test_never_negative_and_monotone() -> None:
    for delta in (1e-300, 1e-5, 0.9):
        found = [gaussian_epsilon(10.0**k, 1.0, delta) for k in range(-300, 300, 7)]
        assert found == sorted(found)
        assert all(value >= 0 for value in found)
    assert gaussian_epsilon(1.0, 1.0, 0.5) == 0.0  # total variation is 0.38
    assert gaussian_epsilon(0.0, 1.0, 1e-5) == 0.0
    assert gaussian_epsilon(1.0, math.inf, 1e-5) == 0.0
    assert gaussian_epsilon(math.inf, 1.0, 1e-5) == gaussian_epsilon(1e300, 1e-9, 0.1) == math.inf
    assert gaussian_sigma(0.0, 1.0, 1e-5) == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"diameter": -1.0}, "diameter must be 0 or more"),
        ({"diameter": math.nan}, "diameter must be 0 or more"),
        ({"sigma": 0.0}, "sigma must be above 0"),
        ({"sigma": math.nan}, "sigma must be above 0"),
        ({"delta": 0.0}, "delta must lie between 0 and 1"),
        ({"delta": 1.0}, "delta must lie between 0 and 1"),
        ({"delta": math.nan}, "delta must lie between 0 and 1"),
        ({"releases": 0}, "releases must be a whole number"),
        ({"releases": 2.5}, "releases must be a whole number"),
        ({"releases": True}, "releases must be a whole number"),
    ],
)
def test_figures_that_cannot_be(arguments: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"diameter": 1.0, "sigma": 1.0, "delta": 1e-5, **arguments}
    with pytest.raises(SettingError, match=message):
        gaussian_epsilon(**given)
    given["epsilon"] = given.pop("sigma")
    if "sigma" not in arguments:
        with pytest.raises(SettingError, match=message):
            gaussian_sigma(**given)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, math.inf, math.nan])
def test_an_epsilon_that_cannot_be(epsilon: float) -> None:
    with pytest.raises(SettingError, match="epsilon must be above 0"):
        gaussian_sigma(1.0, epsilon, 1e-5)
