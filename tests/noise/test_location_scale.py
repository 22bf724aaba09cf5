"""Location-scale laws: valid parameters from raw values, and what a law says of itself."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError

import pytest
import torch

from sfumato.errors import SettingError
from sfumato.noise import Gaussian, Laplace, LocationScale, NoiseLaw, raw_scale

LAWS = [Gaussian, Laplace]
laws = pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)


@laws
def test_constrain_is_softplus_plus_min_scale(law: type[LocationScale]) -> None:
    raw = torch.tensor([-3.0, -0.5, 0.0, 0.5, 3.0], dtype=torch.float64)
    location, scale = law(min_scale=0.25).constrain((raw, raw))
    expected = [math.log1p(math.exp(value)) + 0.25 for value in raw.tolist()]
    assert torch.equal(location, raw)
    torch.testing.assert_close(scale.tolist(), expected, rtol=1e-14, atol=0.0)


@laws
@pytest.mark.parametrize("min_scale", [1e-6, 1e-3, 0.1, 0.3, 7.0])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_no_scale_is_below_min_scale(
    law: type[LocationScale], min_scale: float, dtype: torch.dtype
) -> None:
    raw = torch.tensor([-float("inf"), -1e4, -100.0, -20.0, 0.0], dtype=dtype)
    _, scale = law(min_scale).constrain((raw, raw))
    assert scale.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert (scale >= torch.tensor(min_scale, dtype=scale.dtype)).all()


@laws
def test_a_large_raw_scale_does_not_overflow(law: type[LocationScale]) -> None:
    raw = torch.tensor([100.0, 1e4], requires_grad=True)
    _, scale = law().constrain((raw, raw))
    scale.sum().backward()
    assert torch.equal(scale.detach(), raw.detach() + 1e-3)
    assert raw.grad is not None
    assert torch.equal(raw.grad, torch.ones(2))


@laws
@pytest.mark.parametrize("wrong", [0, -1e-3, float("nan"), float("inf")])
def test_min_scale_is_above_zero(law: type[LocationScale], wrong: float) -> None:
    with pytest.raises(SettingError, match="min_scale must be above 0 and finite"):
        law(min_scale=wrong)


@laws
@pytest.mark.parametrize("min_scale", [1e-3, 0.2])
@pytest.mark.parametrize("excess", [1e-9, 1e-3, 1.0, 50.0])
def test_raw_scale_inverts_constrain(
    law: type[LocationScale], min_scale: float, excess: float
) -> None:
    wanted = min_scale + excess
    raw = torch.tensor([raw_scale(wanted, min_scale)], dtype=torch.float64)
    _, scale = law(min_scale).constrain((raw, raw))
    assert scale.item() == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("scale", [0.1, 0.05, -1.0, float("nan")])
def test_a_scale_at_or_below_min_scale_has_no_raw_value(scale: float) -> None:
    with pytest.raises(SettingError, match=r"is not above min_scale = 0\.1"):
        raw_scale(scale, 0.1)


@laws
def test_mean_and_log_scale(law: type[LocationScale]) -> None:
    params = law().constrain((torch.tensor([2.0, -1.0]), torch.tensor([0.3, -0.7])))
    assert torch.equal(law().mean(params), params[0])
    torch.testing.assert_close(law().log_scale(params).exp(), params[1])


@laws
def test_the_distribution_is_the_torch_one(law: type[LocationScale]) -> None:
    params = law().constrain((torch.tensor([2.0, -1.0]), torch.tensor([0.3, -0.7])))
    found = law().distribution(params)
    named = {Gaussian: torch.distributions.Normal, Laplace: torch.distributions.Laplace}[law]
    h = torch.tensor([0.5, 0.25])
    assert isinstance(found, named)
    assert torch.equal(found.log_prob(h), named(*params).log_prob(h))


@laws
def test_a_law_is_an_immutable_value(law: type[LocationScale]) -> None:
    assert law(0.5) == law(min_scale=0.5) != law()
    assert hash(law(0.5)) == hash(law(0.5))
    assert law(**law(0.5).config()) == law(0.5)
    with pytest.raises(FrozenInstanceError):
        law().min_scale = 2.0  # type: ignore[misc]


def test_laws_of_one_scale_differ_by_kind() -> None:
    assert Gaussian() != Laplace()


@pytest.mark.parametrize("abstract", [NoiseLaw, LocationScale])
def test_the_bases_are_abstract(abstract: type[NoiseLaw]) -> None:
    with pytest.raises(TypeError, match="abstract"):
        abstract()
