"""Where a fit starts, and the baselines, are exactly what they say."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import sfumato as sf
from sfumato.errors import SettingError
from sfumato.obfuscation import class_mean, conditional, isotropic, start

SHAPES = [(6,), (2, 7), (1, 8, 8), (3, 4, 6), (2, 3, 4, 5)]
LAPLACE = sf.noise.Laplace(min_scale=0.01)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", ["conv", "additive"])
@pytest.mark.parametrize("noise", [sf.noise.Gaussian(), LAPLACE], ids=["Gaussian", "Laplace"])
def test_a_conditional_obfuscator_begins_as_isotropic_noise(
    shape: tuple[int, ...], kind: Any, noise: Any
) -> None:
    ours = conditional(shape, 3, 0.7, kind=kind, noise=noise)
    plain = isotropic(shape, 0.7, noise=noise)
    x = torch.randn(6, *shape)
    law, other = ours.distribution(x, torch.arange(6) % 3), plain.distribution(x)
    assert torch.equal(law.mean, x) and torch.equal(other.mean, x)
    assert torch.equal(law.stddev, other.stddev)
    assert type(law) is type(other)


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_kernels_of_any_odd_size(kernel_size: int) -> None:
    obfuscator = conditional((2, 5, 4), 2, 0.3, kernel_size=kernel_size)
    x = torch.randn(2, 2, 5, 4)
    assert torch.equal(obfuscator.distribution(x, torch.tensor([0, 1])).mean, x)
    assert obfuscator.layer.config()["kernel_size"] == [kernel_size, kernel_size]


@pytest.mark.parametrize("sigma", [0.01, 0.5, 20.0])
def test_the_scale_is_sigma(sigma: float) -> None:
    x = torch.randn(2, 1, 4, 4)
    for obfuscator in (isotropic((1, 4, 4), sigma), conditional((1, 4, 4), 2, sigma)):
        law = obfuscator.distribution(x, torch.tensor([0, 1]))
        torch.testing.assert_close(law.stddev, torch.full_like(x, sigma), rtol=1e-5, atol=0)


@pytest.mark.parametrize("kind", ["conv", "additive"])
def test_a_bound_holds(kind: Any) -> None:
    obfuscator = conditional((1, 4, 4), 2, 0.5, kind=kind, bound=(0.0, 1.0))
    x = 3 * torch.randn(5, 1, 4, 4)
    law = obfuscator.distribution(x, torch.zeros(5, dtype=torch.long))
    assert torch.equal(law.mean, x.clamp(0, 1))


def test_what_it_begins_as_can_be_learned() -> None:
    for kind in ("conv", "additive"):
        obfuscator = conditional((1, 4, 4), 2, 0.5, kind=kind)
        x = torch.randn(4, 1, 4, 4)
        obfuscator.obfuscate(x, torch.tensor([0, 0, 1, 1])).square().sum().backward()
        assert all(p.grad is not None and bool(p.grad.any()) for p in obfuscator.parameters())


def test_class_mean_holds_nothing_of_the_record() -> None:
    means = torch.randn(3, 1, 4, 4)
    obfuscator, labels = class_mean(means, 0.4), torch.tensor([2, 0, 1, 2])
    laws = [obfuscator.distribution(100 * torch.randn(4, 1, 4, 4), labels) for _ in range(2)]
    for law in laws:
        assert torch.equal(law.mean, means[labels])
        torch.testing.assert_close(law.stddev, torch.full((4, 1, 4, 4), 0.4))
    released = obfuscator.release(torch.zeros(4, 1, 4, 4), labels)
    assert not torch.equal(released[0], released[3])


@pytest.mark.parametrize("sigma", [0.0, -1.0, 1e-3])
def test_a_scale_that_the_law_cannot_have(sigma: float) -> None:
    for make in (isotropic, lambda shape, sigma: conditional(shape, 2, sigma)):
        with pytest.raises(SettingError, match="is not above min_scale"):
            make((1, 4, 4), sigma)


@pytest.mark.parametrize(
    ("message", "change"),
    [
        ("unknown kind 'dense'", {"kind": "dense"}),
        ("kernel_size must be odd, not 2", {"kernel_size": 2}),
        ("on 0 to 3 spatial axes", {"shape": (1, 2, 2, 2, 2)}),
        ("num_classes must be at least 1", {"num_classes": 0}),
    ],
)
def test_settings_that_cannot_be(message: str, change: dict[str, Any]) -> None:
    arguments = {"shape": (1, 4, 4), "num_classes": 2, "sigma": 0.5, **change}
    with pytest.raises(SettingError, match=message):
        conditional(**arguments)


def test_bounded_isotropic_noise_can_be_certified() -> None:
    found = sf.privacy.certify(sf.obfuscation.isotropic((4,), sigma=4.0, bound=(0.0, 1.0)))
    assert found.certified
    assert found.epsilon == pytest.approx(sf.privacy.gaussian_epsilon(2.0, 4.0, 1e-5), rel=1e-3)
    assert not sf.privacy.certify(sf.obfuscation.isotropic((4,), sigma=4.0)).certified


def test_learned_scales_start_as_isotropic_noise() -> None:
    made, plain = start("scales", (2, 3), 4, 0.7), isotropic((2, 3), 0.7)
    assert made.digest() == plain.digest()
    assert made.num_classes is None
    assert start("additive", (2, 3), 4, 0.7).num_classes == 4
