"""The full-covariance bound against closed forms and against the diagonal one."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Laplace, MultivariateNormal, Normal

from sfumato.errors import DataError
from sfumato.objectives import full_information, information
from tests.privacy import toys


def spread(x: torch.Tensor) -> torch.Tensor:
    centred = x - x.mean(0)
    return centred.T @ centred / (len(x) - 1)


@pytest.mark.parametrize(("count", "size"), [(300, 5), (10, 25)], ids=["tall", "wide"])
@pytest.mark.parametrize("sigma", [0.1, 1.0, 5.0])
def test_the_capacity_of_a_gaussian_channel(count: int, size: int, sigma: float) -> None:
    x = toys.gaussian(count, toys.covariance(size))
    expected = (
        0.5
        * torch.linalg.slogdet(
            torch.eye(size, dtype=torch.float64) + spread(x) / sigma**2
        ).logabsdet
    )
    found = full_information(Normal(x, torch.full_like(x, sigma)))
    assert float(found) == pytest.approx(float(expected), rel=1e-9)


def test_correlated_noise() -> None:
    x, noise = toys.gaussian(200, toys.covariance(4)), 0.5 * toys.covariance(4, 0.3)
    total = torch.linalg.slogdet(spread(x) + noise).logabsdet
    expected = 0.5 * (total - torch.linalg.slogdet(noise).logabsdet)
    assert float(full_information(MultivariateNormal(x, noise))) == pytest.approx(float(expected))


def test_elements_that_say_the_same_count_once() -> None:
    one = torch.randn(500, 1, dtype=torch.float64)
    x = one.expand(-1, 10)
    law = Normal(x, torch.full_like(x, 0.5))
    # Ten looks at one number: ½ log(1 + 10 Var / σ²), not ten times ½ log(1 + Var / σ²).
    expected = 0.5 * torch.log1p(10 * one.var() / 0.25)
    assert float(full_information(law)) == pytest.approx(float(expected), rel=1e-6)
    assert float(information(law)) > 3 * float(expected)


def test_it_is_never_above_the_diagonal_bound() -> None:
    x = toys.gaussian(400, toys.covariance(8))
    for law in (Normal(x, torch.rand_like(x) + 0.1), Laplace(x, torch.full_like(x, 0.3))):
        assert float(full_information(law)) < float(information(law))


def test_the_label_is_no_information() -> None:
    labels = torch.arange(60) % 3
    x = 5.0 * labels.double().unsqueeze(1).expand(-1, 2) + 0.1 * torch.randn(60, 2).double()
    law = Normal(x, torch.full_like(x, 0.1))
    assert float(full_information(law, labels)) < 0.4 * float(full_information(law))


def test_too_few_records() -> None:
    law = Normal(torch.ones(3, 2), torch.ones(3, 2))
    with pytest.raises(DataError, match="3 records are too few"):
        full_information(law, torch.arange(3))
