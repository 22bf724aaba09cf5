"""Bounds on reconstruction against closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.errors import DataError, SettingError
from sfumato.obfuscation import bottleneck, class_mean, conditional, isotropic
from sfumato.privacy import DecoderSettings, fisher_bound, measure_leak


def correlated(count: int, size: int) -> tuple[Tensor, Tensor]:
    """Records of a known kind, and their covariance as it came out."""
    x = torch.randn(count, size) @ (torch.eye(size) + 0.5 * torch.randn(size, size))
    return x, torch.cov(x.double().T)


def test_additive_noise_reaches_both_bounds() -> None:
    x, covariance = correlated(300, 6)
    found = fisher_bound(isotropic((6,), 0.5), x)
    assert found.exact and found.size == 6 and found.records == 300
    assert found.dfil == pytest.approx(4.0, rel=1e-5)
    assert found.unbiased == pytest.approx(0.25, rel=1e-5)  # x itself + noise is unbiased
    # For Gaussian records the best attacker is the Wiener decoder, whose error this is.
    inverse = torch.linalg.inv(covariance) + torch.eye(6).double() / 0.25
    assert found.any_attacker == pytest.approx(
        float(torch.linalg.inv(inverse).trace()) / 6, rel=1e-5
    )
    assert found.class_mean == pytest.approx(float(covariance.trace()) / 6, rel=1e-6)
    assert found.leak == pytest.approx(1 - found.any_attacker / found.class_mean)


@pytest.mark.parametrize(("law", "weight"), [(sf.noise.Gaussian(), 2.0), (sf.noise.Laplace(), 1.0)])
def test_a_linear_map_with_a_scale_that_depends_on_the_record(
    law: sf.noise.LocationScale, weight: float
) -> None:
    x = torch.randn(40, 5)
    layer = sf.nn.StochasticLinear(5, 3, noise=law)
    found = fisher_bound(sf.Obfuscator(layer), x, releases=3)
    location, raw = layer.weight.detach().double().chunk(2)
    assert layer.bias is not None
    rho = x.double() @ raw.T + layer.bias.detach().double()[3:]
    scale = nn.functional.softplus(rho) + law.min_scale
    slope = torch.sigmoid(rho).unsqueeze(2) * raw
    information = (location.square().sum(1) + weight * slope.square().sum(2)) / scale.square()
    total = 3 * information.sum(1)
    assert found.dfil == pytest.approx(float(total.mean()) / 5, rel=1e-4)
    assert found.unbiased == pytest.approx(float((5 / total).mean()), rel=1e-4)


def test_probes_estimate_the_same() -> None:
    x, labels = torch.rand(64, 1, 5, 5), torch.arange(64) % 3
    made = conditional((1, 5, 5), 3, 0.5)
    nn.init.normal_(made.layer.weight, std=0.3)  # type: ignore[arg-type]
    exact = fisher_bound(made, x, labels)
    probed = fisher_bound(made, x, labels, probes=200)
    assert exact.exact and not probed.exact and "random probes" in probed.words
    # 12,800 probes: the standard error is about 0.5 %
    assert probed.dfil == pytest.approx(exact.dfil, rel=0.03)
    assert probed.any_attacker == pytest.approx(exact.any_attacker, rel=0.03)


def test_more_noise_and_fewer_dimensions_raise_the_bound() -> None:
    x, labels = torch.rand(50, 1, 4, 4), torch.arange(50) % 2
    bounds = [
        fisher_bound(isotropic((1, 4, 4), s), x, labels).any_attacker for s in (0.1, 1.0, 9.0)
    ]
    assert bounds == sorted(bounds)
    one = fisher_bound(isotropic((1, 4, 4), 1.0), x, labels)
    assert fisher_bound(isotropic((1, 4, 4), 1.0), x, labels, releases=100).leak > 2 * one.leak
    narrow = fisher_bound(bottleneck((1, 4, 4), 2, 1.0, clip=50.0), x, labels)
    assert narrow.any_attacker > one.any_attacker


def test_the_optimal_decoder_stays_within_the_bound() -> None:

    x, _ = correlated(4000, 6)
    labels, made = torch.zeros(4000).long(), isotropic((6,), 1.0)
    leak = measure_leak(
        made, (x[:3000], labels[:3000]), (x[3000:], labels[3000:]), 1,
        settings=DecoderSettings(steps=0),
    ).strongest  # fmt: skip
    bound = fisher_bound(made, x, labels).leak
    # 1,000 held-out records, Gaussian indeed: the two agree to within 5 standard errors of 0.006
    assert leak == pytest.approx(bound, abs=0.03)


def test_nothing_of_the_record_leaks_nothing() -> None:
    found = fisher_bound(
        class_mean(torch.zeros(1, 4), 1.0), torch.rand(9, 4), torch.zeros(9).long()
    )
    assert found.dfil == 0 and found.unbiased == math.inf
    assert found.leak == pytest.approx(0, abs=1e-12)


def test_labels_and_parameters_are_left_alone() -> None:
    made = conditional((4,), 2, 0.5)
    fisher_bound(made, torch.rand(5, 4), torch.tensor([0, 1, 0, 1, 1]))
    assert all(parameter.grad is None for parameter in made.parameters())


@pytest.mark.parametrize(
    ("x", "labels"),
    [
        (torch.rand(1, 4), None),
        (torch.rand(3, 4), torch.zeros(2).long()),
        (torch.full((3, 4), math.nan), None),
    ],
)
def test_records_that_cannot_be(x: Tensor, labels: Tensor | None) -> None:
    with pytest.raises(DataError):
        fisher_bound(isotropic((4,), 1.0), x, labels)


def test_settings_that_cannot_be() -> None:
    with pytest.raises(SettingError, match="probes must be"):
        fisher_bound(isotropic((4,), 1.0), torch.rand(3, 4), probes=0)
    counts = sf.Obfuscator(sf.nn.StochasticLinear(4, 3, noise=sf.noise.Binomial(3)))
    with pytest.raises(SettingError, match="Gaussian and Laplace"):
        fisher_bound(counts, torch.rand(3, 4))
