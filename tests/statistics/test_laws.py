"""Samples follow the law they claim: Kolmogorov-Smirnov and moments, for both laws and sources.

The torch source is seeded, so its tests give the same verdict each time; over seeds, a right
implementation would fail one with probability 1e-6. The system's source cannot be seeded: its
thresholds leave a false alarm of 1e-9 per test.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from scipy.stats import kstest, laplace, norm

import sfumato as sf
from sfumato.noise import Gaussian, Laplace, LocationScale
from sfumato.noise.source import SYSTEM, TORCH, Source
from tests.nn.cases import NAMES, a_layer

N = 200_000
LOW, HIGH = 45, 172  # outside of these with a probability of 5e-10 for both tails
ALARM = {TORCH: 1e-6, SYSTEM: 1e-9}
LAWS: list[tuple[LocationScale, Any]] = [(Gaussian(), norm), (Laplace(), laplace)]
each_law = pytest.mark.parametrize(("law", "known"), LAWS, ids=["gaussian", "laplace"])
each_source = pytest.mark.parametrize("source", ALARM, ids=["torch", "os"])
each_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


@each_law
@each_source
@each_dtype
def test_draws_by_kolmogorov_smirnov(
    law: LocationScale, known: Any, source: Source, dtype: torch.dtype
) -> None:
    """n = 200,000; a distribution function that is wrong by 0.01 anywhere is found."""
    eps = law.draw((N,), dtype=dtype, source=source).double().numpy()
    assert kstest(eps, known.cdf).pvalue > ALARM[source]


@each_law
@each_source
@pytest.mark.parametrize("power", [1, 2, 3])
def test_moments(law: LocationScale, known: Any, source: Source, power: int) -> None:
    """n = 200,000; the mean of ε^k is within z standard errors, z from the false alarm."""
    eps = law.draw((N,), dtype=torch.float64, source=source)
    error = math.sqrt((known.moment(2 * power) - known.moment(power) ** 2) / N)
    z = norm.isf(ALARM[source] / 2)
    assert abs((eps**power).mean().item() - known.moment(power)) < z * error


@each_law
@each_source
def test_tails(law: LocationScale, known: Any, source: Source) -> None:
    """n = 200,000; as many draws beyond the 1 / 2,000 quantiles as there should be, 100 each."""
    eps = law.draw((N,), source=source)
    edge = known.isf(1 / 2000)
    for beyond in ((eps > edge).sum().item(), (eps < -edge).sum().item()):
        assert LOW <= beyond <= HIGH


@each_law
@each_source
def test_draws_are_not_correlated(law: LocationScale, known: Any, source: Source) -> None:
    """n = 200,000; neighbours at distances 1 to 4; z from the false alarm."""
    eps = law.draw((N,), dtype=torch.float64, source=source) / known.std()
    z = norm.isf(ALARM[source] / 2)
    for lag in range(1, 5):
        assert abs((eps[lag:] * eps[:-lag]).mean().item()) < z / math.sqrt(N - lag)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("law", [Gaussian(), Laplace()], ids=["gaussian", "laplace"])
def test_layers_sample_what_they_claim(name: str, law: LocationScale) -> None:
    """h falls uniformly in the distribution function that `layer.distribution` gives.

    n >= 4,800 from 400 copies of a batch of 4; seed 0; false alarm 1e-6.
    """
    layer, arguments = a_layer(name)
    layer.noise = law
    many = tuple(a.repeat_interleave(400, 0) for a in arguments)
    with torch.no_grad():
        u = layer.distribution(*many).cdf(layer(*many)).flatten().double().numpy()
    assert len(u) >= 4_800
    assert kstest(u, "uniform").pvalue > 1e-6


@pytest.mark.parametrize("law", [Gaussian(), Laplace()], ids=["gaussian", "laplace"])
def test_a_layer_with_the_system_source(law: LocationScale) -> None:
    """n = 100,000; false alarm 1e-9."""
    layer = sf.nn.AdditiveNoise((100,), noise=law)
    x = torch.zeros(1000, 100)
    with torch.no_grad(), sf.sampling(layer, source="os"):
        u = layer.distribution(x).cdf(layer(x)).flatten().double().numpy()
    assert kstest(u, "uniform").pvalue > 1e-9
