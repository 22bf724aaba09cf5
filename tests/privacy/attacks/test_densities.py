"""The matched filter against torch's own densities, and fresh averages against their moments."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.distributions import Distribution

from sfumato.privacy.attacks.densities import has_density, log_densities, log_likelihood
from sfumato.privacy.attacks.fresh import fresh
from sfumato.privacy.attacks.ridge import Ridge
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

ROOT = torch.linalg.cholesky(covariance(6))
TWO = [torch.tensor(v) for v in ([1.0, -2.0], [0.0, 5.0], [0.1, 0.3])]
MECHANISMS: list[Any] = [
    Additive(0.5),
    ByScale(),
    ByLabel(*TWO),
    Correlated(ROOT),
    LaplaceNoise(0.7),
    Mixed(torch.ones(4, 6), 0.3),
]
NAMES = [type(mechanism).__name__ for mechanism in MECHANISMS]


def records(count: int, seed: int) -> torch.Tensor:
    return gaussian(count, covariance(6), seed).float().abs()


def summed(law: Distribution, value: torch.Tensor) -> torch.Tensor:
    density = law.log_prob(value)
    return density if law.event_shape else density.sum(-1)


@pytest.mark.parametrize("mechanism", MECHANISMS, ids=NAMES)
def test_every_pair(mechanism: Mechanism) -> None:
    x, others = records(5, 1), records(7, 2)
    seen = mechanism.release(x, torch.ones(5, dtype=torch.long))
    found = log_densities(mechanism, seen, others, 1)
    expected = torch.stack(
        [
            torch.cat(
                [summed(mechanism.distribution(g[None], torch.tensor([1])), y) for g in others]
            )
            for y in seen
        ]
    )
    torch.testing.assert_close(found, expected.double(), rtol=1e-4, atol=1e-3)
    own = log_likelihood(mechanism.distribution(x, torch.ones(5, dtype=torch.long)), seen)
    same = log_densities(mechanism, seen, x, 1).diagonal()
    torch.testing.assert_close(own, same, rtol=1e-4, atol=1e-3)


def test_an_average_has_a_smaller_variance() -> None:
    x, seen = records(5, 1), records(4, 3)
    four = log_densities(Additive(1.0), seen, x, 0, releases=4)
    torch.testing.assert_close(four, log_densities(Additive(0.5), seen, x, 0))
    labels = torch.zeros(4, dtype=torch.long)
    laws = Additive(1.0).distribution(x[:4], labels), Additive(0.5).distribution(x[:4], labels)
    gap = log_likelihood(laws[0], seen, 4) - log_likelihood(laws[1], seen)
    torch.testing.assert_close(gap, gap[:1].expand(4))  # equal up to a constant


@pytest.mark.parametrize("releases", [4, 40])
@pytest.mark.parametrize("mechanism", MECHANISMS, ids=NAMES)
def test_fresh_averages(mechanism: Mechanism, releases: int) -> None:
    x, labels = records(1, 4).repeat(2000, 1), torch.ones(2000, dtype=torch.long)
    drawn = fresh(mechanism, x, labels, releases)
    law = mechanism.distribution(x[:1], labels[:1])
    mean, scale = law.mean[0], (law.variance[0] / releases).sqrt()
    # Means and standard deviations of 2000 draws, of 66 elements in all: a right one is beyond
    # 5 standard errors with a probability of 8e-5 together.
    assert bool(((drawn.mean(0) - mean).abs() < 5 * scale / 2000**0.5).all())
    assert bool((drawn.std(0) / scale - 1).abs().max() < 5 * (0.5 / 2000) ** 0.5 * 1.5)


def test_where_there_is_a_density() -> None:
    x = records(3, 1)
    assert all(has_density(mechanism, x, 0) for mechanism in MECHANISMS)
    assert not has_density(Untold(Additive(1.0)), x, 0)


@pytest.mark.parametrize("size", [5, 1100])
def test_the_ridge_regression(size: int) -> None:
    order = torch.Generator().manual_seed(0)
    y = 100 + torch.randn(400, size, generator=order)
    groups = torch.arange(400) % 2
    w = y[:, :2] + 10 * groups.unsqueeze(1)
    ridge = Ridge(size, 2, 2)
    for batch in torch.arange(400).split(150):
        ridge.add(y[batch], groups[batch], w[batch])
    torch.testing.assert_close(ridge.solved(1e-9).scores(y, groups), w.double(), rtol=0, atol=1e-2)
    still = ridge.solved(1e9).scores(y, groups)
    for c in (0, 1):
        own = w[groups == c].double().mean(0).expand(200, 2)
        torch.testing.assert_close(still[groups == c], own, rtol=0, atol=1e-4)
    flat = ridge.solved(1.0).standardised(y)
    torch.testing.assert_close(flat.std(0, correction=0), torch.ones(size), rtol=1e-3, atol=1e-3)
