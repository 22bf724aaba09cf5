"""The draw of Gaussian weights and its divergence, against plain operations in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from sfumato.nn.weights.draw import (
    draw_weight,
    draw_weight_and_kl,
    gaussian_kl,
    squared_scale,
)
from sfumato.nn.weights.prior import GaussianPrior

SHAPES = [(3, 4), (), (0, 3), (5,), (2, 3, 4, 5), (300, 1000)]
PRIORS = [GaussianPrior(), GaussianPrior(0.3, mean=-0.2)]
MIN = 1e-3


def raw_weights(shape: tuple[int, ...], dtype: Any = torch.float64) -> tuple[Tensor, Tensor]:
    location = torch.randn(shape, dtype=dtype, requires_grad=True)
    return location, (2 * torch.randn(shape, dtype=dtype)).requires_grad_()


def plain_draw(location: Tensor, raw: Tensor) -> Tensor:
    eps = torch.normal(0.0, 1.0, location.shape, dtype=location.dtype)
    return location + (F.softplus(raw) + MIN) * eps


def plain_kl(location: Tensor, raw: Tensor, prior: GaussianPrior) -> Tensor:
    learned = Normal(location, F.softplus(raw) + MIN, validate_args=False)
    mean, scale = (torch.tensor(v, dtype=location.dtype) for v in (prior.mean, prior.scale))
    return kl_divergence(learned, Normal(mean, scale)).sum()


def same_slopes(found: Tensor, wanted: Tensor, of: tuple[Tensor, ...], **close: Any) -> None:
    upstream = torch.randn_like(wanted)
    for mine, theirs in zip(
        torch.autograd.grad(found, of, upstream, allow_unused=True),
        torch.autograd.grad(wanted, of, upstream, allow_unused=True),
        strict=True,
    ):
        assert (mine is None) == (theirs is None)
        if mine is not None and theirs is not None:
            torch.testing.assert_close(mine, theirs, **close)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_draw(shape: tuple[int, ...]) -> None:
    location, raw = raw_weights(shape)
    torch.manual_seed(3)
    wanted = plain_draw(location, raw)
    torch.manual_seed(3)
    found = draw_weight(location, raw, MIN)
    torch.testing.assert_close(found, wanted)
    same_slopes(found, wanted, (location, raw))


@pytest.mark.parametrize("prior", PRIORS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_divergence(shape: tuple[int, ...], prior: GaussianPrior) -> None:
    location, raw = raw_weights(shape)
    wanted = plain_kl(location, raw, prior)
    found = gaussian_kl(location, raw, MIN, prior)
    torch.testing.assert_close(found, wanted)
    same_slopes(found, wanted, (location, raw))


@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_draw_and_divergence_together(prior: GaussianPrior) -> None:
    location, raw = raw_weights((300, 1000), torch.float32)
    torch.manual_seed(3)
    wanted = plain_draw(location, raw), plain_kl(location.double(), raw.double(), prior).float()
    torch.manual_seed(3)
    found = draw_weight_and_kl(location, raw, MIN, prior)
    torch.testing.assert_close(found, wanted)
    upstream = torch.randn_like(wanted[0]), torch.tensor(0.7)
    mine = torch.autograd.grad(found, (location, raw), upstream)
    theirs = torch.autograd.grad(wanted, (location, raw), upstream)
    torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


def test_channels_last_weights() -> None:
    shaped = torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last)
    location, raw = shaped.requires_grad_(), shaped.clone().detach().requires_grad_()
    torch.manual_seed(3)
    wanted = plain_draw(location, raw)
    torch.manual_seed(3)
    found = draw_weight(location, raw, MIN)
    torch.testing.assert_close(found, wanted)
    same_slopes(found, wanted, (location, raw))


def test_scales_whose_product_leaves_the_range_of_floats() -> None:
    for value in (1e9, -1e9):
        raw = torch.full((8,), value, requires_grad=True)
        location = torch.zeros(8)
        found = gaussian_kl(location, raw, 1e-12, GaussianPrior(1e9))
        wanted = kl_divergence(Normal(0.0, F.softplus(raw) + 1e-12), Normal(0.0, 1e9)).sum()
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
        assert found.isfinite()


def test_squared_scale() -> None:
    _, raw = raw_weights((30, 40))
    assert torch.autograd.gradcheck(lambda r: squared_scale(r, MIN), raw[:3, :3])
    torch.testing.assert_close(squared_scale(raw, MIN), (F.softplus(raw) + MIN).square())


def test_second_derivatives() -> None:
    prior = GaussianPrior(0.5, 0.1)
    location, raw = raw_weights((2, 3))

    def both(location: Tensor, raw: Tensor) -> Tensor:
        torch.manual_seed(3)
        weight, kl = draw_weight_and_kl(location, raw, MIN, prior)
        return weight.square().sum() + kl + squared_scale(raw, MIN).sin().sum()

    assert torch.autograd.gradgradcheck(both, (location, raw))


def test_only_one_tensor_is_kept() -> None:
    location, raw = raw_weights((30, 40), torch.float32)
    kept: list[Tensor] = []

    def pack(value: Tensor) -> Tensor:
        kept.append(value)
        return value

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        draw_weight_and_kl(location, raw, MIN, GaussianPrior())
    known = {location.data_ptr(), raw.data_ptr()}
    assert sum(t.numel() for t in kept if t.data_ptr() not in known) == location.numel()
