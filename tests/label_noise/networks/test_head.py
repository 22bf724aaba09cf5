"""The heteroscedastic head: probabilities, the paper's formula, and its noise."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

import sfumato as sf
from sfumato.errors import DataError, SettingError
from sfumato.label_noise import HeteroscedasticHead, with_heteroscedastic_head
from tests.label_noise.toys import network

PHI = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))


def head(**more: float) -> HeteroscedasticHead:
    torch.manual_seed(0)
    return HeteroscedasticHead(5, 3, **{"rank": 2, "samples": 4, **more})


@pytest.mark.parametrize("rank", [0, 2])
def test_probabilities(rank: int) -> None:
    logs = head(rank=rank)(PHI)
    assert torch.allclose(logs.exp().sum(1), torch.ones(6), atol=1e-6)


def test_the_formula() -> None:
    made = head(temperature=0.7)
    torch.manual_seed(3)
    given = made(PHI)
    torch.manual_seed(3)
    diagonal, factors = torch.normal(0.0, 1.0, (4, 6, 3)), torch.normal(0.0, 1.0, (4, 6, 2))
    assert made.factors is not None
    expected = torch.zeros(6, 3, dtype=torch.float64)
    for b in range(6):
        mean = made.location(PHI[b]).double()
        spread = F.softplus(made.diagonal(PHI[b])).double()
        low = made.factors(PHI[b]).view(3, 2).double()
        for s in range(4):
            u = mean + spread * diagonal[s, b] + low @ factors[s, b].double()
            expected[b] += (u / 0.7).softmax(0) / 4
    assert torch.allclose(given.double().exp(), expected, atol=1e-5)


def test_the_mean_path() -> None:
    made = head(temperature=2.0)
    with sf.sampling(made, "mean"):
        assert torch.equal(made(PHI), made.location(PHI) / 2.0)


def test_the_covariance() -> None:
    """V Vᵀ + d²; the limit of 6 standard errors is overstepped with a probability below 1e-7."""
    made = head(samples=40000)
    torch.manual_seed(5)
    draws = made._noise(PHI[:1]).squeeze(1).double()
    assert made.factors is not None
    low = made.factors(PHI[0]).view(3, 2).double()
    exact = low @ low.T + F.softplus(made.diagonal(PHI[0])).double().square().diag()
    found = draws.T @ draws / len(draws)
    limit = 6 * torch.sqrt((exact.diag().outer(exact.diag()) + exact**2) / len(draws))
    assert bool(((found - exact).abs() < limit).all())


def test_put_on_a_network() -> None:
    torch.manual_seed(0)
    plain = network()
    changed = with_heteroscedastic_head(plain, rank=2)
    x = torch.randn(4, 6)
    with sf.sampling(changed, "mean"):
        assert torch.allclose(changed(x), plain(x))
    logs = changed(x)
    assert not torch.equal(logs, changed(x))
    F.cross_entropy(logs, torch.tensor([0, 1, 2, 0])).backward()
    assert all(p.grad is not None for p in changed.parameters())


@pytest.mark.parametrize(
    "wrong", [{"rank": -1}, {"samples": 0}, {"temperature": 0.0}, {"temperature": math.nan}]
)
def test_no_head(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingError):
        head(**wrong)


def test_features_of_another_shape() -> None:
    with pytest.raises(DataError, match="features"):
        head()(torch.zeros(2, 4))
