"""Choosing the scale for a wanted ε."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import sfumato as sf
from sfumato.errors import SettingError
from sfumato.obfuscation import bottleneck, calibrate, conditional, isotropic
from sfumato.privacy import certify, gaussian_sigma

SHAPE = (1, 4, 4)
LAPLACE = sf.noise.Laplace()


def scale(obfuscator: sf.Obfuscator) -> torch.Tensor:
    law = obfuscator.distribution(torch.zeros(1, *SHAPE), torch.zeros(1).long())
    return law.scale.detach()  # type: ignore[attr-defined]


def bounded(law: sf.noise.LocationScale) -> sf.Obfuscator:
    return conditional(SHAPE, 3, 0.5, kind="additive", bound=(0.0, 1.0), noise=law)


@pytest.mark.parametrize("target", [0.01, 1.0, 20.0])
@pytest.mark.parametrize("releases", [1, 10])
@pytest.mark.parametrize("law", [sf.noise.Gaussian(), LAPLACE])
@pytest.mark.parametrize("kind", ["bounded", "bottleneck"])
def test_the_target_is_reached_and_hardly_undercut(
    target: float, releases: int, law: sf.noise.LocationScale, kind: str
) -> None:
    made = bounded(law) if kind == "bounded" else bottleneck(SHAPE, 4, 1.0, noise=law)
    reached = calibrate(made, target, 1e-6, releases=releases)
    found = certify(made, delta=1e-6, releases=releases)
    assert found.certified and found.epsilon == reached
    assert (1 - 1e-3) * target <= reached <= target


def test_it_is_the_scale_of_the_formula() -> None:
    made = bottleneck(SHAPE, 4, 1.0, clip=2.0)
    calibrate(made, 2.0, 1e-5, releases=3)
    expected = gaussian_sigma(4.0, 2.0, 1e-5, releases=3)
    assert float(scale(made).max()) == pytest.approx(expected, rel=1e-3)


def test_the_pattern_stays() -> None:
    made = bounded(sf.noise.Gaussian())
    nn.init.uniform_(made.layer.weight, 0.0, 3.0)  # type: ignore[arg-type]
    before, shift = scale(made), made.layer.weight.detach()[:, 0].clone()  # type: ignore[index]
    calibrate(made, 5.0, 1e-5)
    ratio = scale(made) / before
    torch.testing.assert_close(ratio, ratio.mean().expand_as(ratio), rtol=1e-4, atol=0)
    assert torch.equal(made.layer.weight.detach()[:, 0], shift)  # type: ignore[index]


def test_a_learned_selection_is_counted() -> None:
    made = bounded(sf.noise.Gaussian())
    nn.init.uniform_(made.layer.weight, -3.0, 3.0)  # type: ignore[arg-type]
    made.selection = sf.nn.SoftSelection(3, (1,), normalize=False)
    reached = calibrate(made, 5.0, 1e-5)
    assert (1 - 1e-3) * 5 <= reached <= 5


def test_the_floor_may_be_more_than_is_asked_for() -> None:
    law = sf.noise.Gaussian(min_scale=50.0)
    made = bottleneck(SHAPE, 4, 60.0, noise=law)
    reached = calibrate(made, 20.0, 1e-5)
    assert reached < 0.2 and float(scale(made).min()) == pytest.approx(50.0, rel=1e-3)


CANNOT: dict[str, tuple[Any, str]] = {
    "no bound": (lambda: isotropic(SHAPE, 1.0), "location is not bounded"),
    "kernels": (
        lambda: conditional(SHAPE, 3, 1.0, bound=(0.0, 1.0)),
        "ConditionalConv2d comes from its kernels",
    ),
    "a network": (
        lambda: sf.Obfuscator(sf.nn.Stochastic(nn.Linear(4, 8), bound=(0.0, 1.0))),
        "scale of a Stochastic depends on the record",
    ),
    "a constant scale of kernels": (
        lambda: conditional((4,), 3, 1.0, bound=(0.0, 1.0)),
        "comes from its kernels",
    ),
    "half precision": (lambda: bounded(sf.noise.Gaussian()).half(), "finely enough"),
}


@pytest.mark.parametrize("name", CANNOT)
def test_where_the_premise_fails(name: str) -> None:
    make, message = CANNOT[name]
    made = make()
    digest = made.digest()
    with pytest.raises(SettingError, match=message):
        calibrate(made, 1.0, 1e-5)
    assert made.digest() == digest


@pytest.mark.parametrize(
    ("target", "delta", "releases", "message"),
    [
        (0.0, 1e-5, 1, "epsilon must be above 0"),
        (21.0, 1e-5, 1, "says nothing"),
        (1.0, 0.0, 1, "delta must lie"),
        (1.0, 1e-5, 0, "releases must be"),
    ],
)
def test_figures_that_cannot_be(target: float, delta: float, releases: int, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        calibrate(bottleneck(SHAPE, 4, 1.0), target, delta, releases=releases)
