"""Rényi divergences against quadrature, and their conversion against dp-accounting."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from dp_accounting import rdp
from scipy import integrate, stats

from sfumato.errors import SettingError
from sfumato.privacy import (
    gaussian_epsilon,
    laplace_epsilon,
    laplace_renyi,
    renyi_epsilon,
    renyi_gaussian,
)

ORDERS = (1.05, 1.5, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


def divergence(order: float, first: Any, last: Any, width: float) -> float:
    """1 / (α - 1) log ∫ p^α q^(1 - α), by quadrature."""

    def integrand(x: float) -> float:
        return math.exp(order * first.logpdf(x) + (1 - order) * last.logpdf(x))

    points = [-width, -1.0, 0.0, 1.0, width]
    parts = pairwise(points)
    area = sum(
        integrate.quad(integrand, a, b, epsabs=0, epsrel=1e-11, limit=400)[0] for a, b in parts
    )
    return math.log(area) / (order - 1)


@pytest.mark.parametrize("order", [1.2, 2.0, 3.5])
@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (1.0, 1.05), (0.5, 0.55), (2.0, 2.2)])
@pytest.mark.parametrize("distance", [0.0, 0.7, 2.0])
def test_gaussians_as_by_quadrature(order: float, low: float, high: float, distance: float) -> None:
    expected = divergence(order, stats.norm(0, high), stats.norm(distance, low), 60.0)
    found = renyi_gaussian(order, distance, low, high)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("scales", [(1.0, 1.0), (1.0, 1.1), (1.1, 1.0), (1.05, 1.02)])
def test_the_worst_case_is_no_better_than_any_other(scales: tuple[float, float]) -> None:
    worst = renyi_gaussian(2.0, 1.0, 1.0, 1.1)
    first, last = scales
    assert divergence(2.0, stats.norm(0, first), stats.norm(1, last), 40.0) <= worst + 1e-9


@pytest.mark.parametrize("order", [1.1, 2.0, 10.0])
@pytest.mark.parametrize("distance", [1e-3, 0.5, 3.0])
def test_laplace_as_by_quadrature(order: float, distance: float) -> None:
    def log_ratio(x: Any) -> Any:
        return -order * np.abs(x) - (1 - order) * np.abs(x - distance) - math.log(2)

    edges = [-60.0, 0.0, distance, 60.0 + distance]
    area = sum(
        integrate.quad(lambda x: math.exp(log_ratio(x)), a, b, epsabs=0, epsrel=1e-12)[0]
        for a, b in pairwise(edges)
    )
    expected = math.log(area) / (order - 1)
    assert laplace_renyi(order, distance) == pytest.approx(expected, rel=1e-6, abs=1e-13)


def test_elements_and_dimensions_add_up() -> None:
    alone, scales = renyi_gaussian(1.5, 1.0, 1.0, 1.2), renyi_gaussian(1.5, 0.0, 1.0, 1.2)
    assert scales > 0
    assert renyi_gaussian(1.5, 1.0, 1.0, 1.2, 10) == pytest.approx(alone + 9 * scales)


def test_an_order_beyond_the_pole_has_no_divergence() -> None:
    pole = 2.0 / (2.0 - 1)  # t / (t - 1) for t = 2
    assert renyi_gaussian(pole - 1e-9, 1.0, 1.0, math.sqrt(2)) < math.inf
    assert renyi_gaussian(pole + 1e-9, 1.0, 1.0, math.sqrt(2)) == math.inf


@pytest.mark.parametrize("delta", [1e-12, 1e-5, 0.1])
@pytest.mark.parametrize("ratio", [0.01, 0.3, 1.0, 5.0])
def test_conversion_as_dp_accounting(delta: float, ratio: float) -> None:
    curve = partial(renyi_gaussian, diameter=ratio, low=1.0, high=1.0)
    expected, _ = rdp.compute_epsilon(ORDERS, [curve(order) for order in ORDERS], delta)
    assert renyi_epsilon(curve, delta, ORDERS) == pytest.approx(expected, rel=1e-12, abs=1e-15)
    assert renyi_epsilon(curve, delta) <= expected + 1e-12


@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.0, 2 * math.sqrt(10)])
def test_the_exact_epsilon_is_smaller_but_not_by_much(ratio: float) -> None:
    found = renyi_epsilon(partial(renyi_gaussian, diameter=ratio, low=1.0, high=1.0), 1e-5)
    exact = gaussian_epsilon(ratio, 1.0, 1e-5)
    assert exact < found < 1.1 * exact


@pytest.mark.parametrize(
    ("dimensions", "ratio", "epsilon"),
    [(8, 1.01, 0.25), (64, 1.1, 7.2), (784, 1.05, 11.5), (3072, 2.0, 3063.0)],
)
def test_a_scale_that_depends_on_the_record_costs_dimensions(
    dimensions: int, ratio: float, epsilon: float
) -> None:
    curve = partial(renyi_gaussian, diameter=0.0, low=1.0, high=ratio, dimensions=dimensions)
    assert renyi_epsilon(curve, 1e-5) == pytest.approx(epsilon, rel=0.02)


def test_laplace_against_a_privacy_loss_distribution() -> None:
    from dp_accounting.pld import privacy_loss_distribution as pld

    # sensitivity 1 and b / D: with the relation REPLACE_ONE an accountant may double it
    one = pld.from_laplace_mechanism(2.0, sensitivity=1.0, value_discretization_interval=1e-4)
    # pure ε, but for the discretisation and the mass at the two ends (e^{-1/4} / 2 each)
    assert one.get_epsilon_for_delta(1e-9) == pytest.approx(laplace_epsilon(1.0, 2.0), rel=1e-3)
    many = renyi_epsilon(lambda order: 50 * laplace_renyi(order, 0.5), 1e-5)
    exact = one.self_compose(50).get_epsilon_for_delta(1e-5)
    assert exact < many < 1.1 * exact < laplace_epsilon(1.0, 2.0, releases=50)


def test_the_ends_of_laplace() -> None:
    assert laplace_epsilon(3.0, 2.0, releases=4) == 6.0
    assert laplace_renyi(2.0, 0.0) == 0.0
    assert laplace_renyi(1e7, 3.0) == pytest.approx(3.0)  # towards the pure ε
    assert laplace_renyi(2.0, 1e-9) == pytest.approx(1e-18, rel=1e-3)  # α r² / 2, as a Gaussian
    assert laplace_renyi(2.0, math.inf) == laplace_epsilon(math.inf, 1.0) == math.inf
    assert laplace_renyi(3.0, 1e4) == pytest.approx(1e4, rel=1e-3)


def test_no_divergence_no_epsilon() -> None:
    assert renyi_epsilon(lambda _: math.inf, 1e-5) == math.inf
    assert renyi_epsilon(lambda _: 0.0, 1e-5) == 0.0
    assert renyi_epsilon(lambda _: 1e-12, 1e-5) == 0.0  # total variation is below δ


@pytest.mark.parametrize(
    "call",
    [
        lambda: renyi_gaussian(1.0, 1.0, 1.0, 1.0),
        lambda: renyi_gaussian(math.nan, 1.0, 1.0, 1.0),
        lambda: renyi_gaussian(2.0, -1.0, 1.0, 1.0),
        lambda: renyi_gaussian(2.0, 1.0, 0.0, 1.0),
        lambda: renyi_gaussian(2.0, 1.0, 2.0, 1.0),
        lambda: renyi_gaussian(2.0, 1.0, 1.0, 1.0, 0),
        lambda: renyi_epsilon(lambda _: 1.0, 0.0),
        lambda: renyi_epsilon(lambda _: 1.0, 1e-5, []),
        lambda: renyi_epsilon(lambda _: math.nan, 1e-5),
        lambda: renyi_epsilon(lambda _: -1.0, 1e-5),
        lambda: laplace_renyi(0.5, 1.0),
        lambda: laplace_renyi(2.0, math.nan),
        lambda: laplace_epsilon(1.0, 0.0),
        lambda: laplace_epsilon(-1.0, 1.0),
        lambda: laplace_epsilon(1.0, 1.0, 0),
    ],
)
def test_figures_that_cannot_be(call: Any) -> None:
    with pytest.raises(SettingError):
        call()
