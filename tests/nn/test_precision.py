"""Precision: dtypes as the plain layer's, noise and scale never in less than float32."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import sfumato as sf
from tests.nn.cases import CLASSES, NAMES, a_layer

names = pytest.mark.parametrize("name", NAMES)
HALF = torch.bfloat16


def autocast() -> Any:
    return torch.autocast("cpu", HALF)


def plain_dtype(name: str, x: Tensor) -> torch.dtype:
    """What the plain torch layer gives for `x`."""
    kind = name.removeprefix("Conditional").removeprefix("Stochastic")
    if kind == "AdditiveNoise":
        return (x + torch.zeros(x.shape[1:])).dtype
    width = x.shape[-1] if kind == "Linear" else x.shape[1]
    plain = getattr(torch.nn, kind)(width, 3, *(() if kind == "Linear" else (2,)))
    return plain(x).dtype


@names
def test_autocast(name: str) -> None:
    layer, arguments = a_layer(name)
    with autocast(), sf.record(layer) as rec:
        h = layer(*arguments)
        assert h.dtype == plain_dtype(name, arguments[0])
    ((location, scale),) = rec.params.values()
    assert location.dtype == scale.dtype == torch.float32
    assert next(iter(rec.samples.values())).dtype == torch.float32
    h.float().sum().backward()
    assert all(p.grad.dtype == torch.float32 for p in layer.parameters())
    exact = layer.params(*arguments)
    torch.testing.assert_close((location, scale), exact, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("place", ["input", "output"])
@pytest.mark.parametrize("spread", [(), (2, 5, 5)])
@pytest.mark.parametrize("combine", ["sum", "mixture"])
def test_autocast_with_a_soft_selection(place: Any, spread: Any, combine: Any) -> None:
    layer, (x, _) = a_layer("ConditionalConv2d")
    shape = (3, 5, 5) if spread and place == "output" else spread
    soft = sf.nn.SoftSelection(CLASSES, shape, place, combine)
    with autocast():
        h = layer(x, soft)
    assert h.dtype == HALF
    h.float().square().sum().backward()
    assert soft.logits.grad is not None


def test_autocast_with_groups() -> None:
    x = torch.randn(2, 4, 5, 5)
    with autocast():
        assert sf.nn.StochasticConv2d(4, 4, 3, groups=2)(x).dtype == HALF
        for c in (torch.tensor([1, 0]), torch.rand(2, 3), torch.rand(2, 3, 5, 5)):
            assert sf.nn.ConditionalConv2d(3, 4, 4, 3, groups=2)(x, c).dtype == HALF


@names
@pytest.mark.parametrize("dtype", [HALF, torch.float16, torch.float64])
def test_a_network_of_another_dtype(name: str, dtype: torch.dtype) -> None:
    layer, arguments = a_layer(name)
    layer = layer.to(dtype)
    x, *rest = arguments
    with sf.record(layer) as rec:
        h = layer(x.to(dtype), *rest)
    assert h.dtype == dtype
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    assert {p.dtype for params in rec.params.values() for p in params} == {wide}
    h.float().sum().backward()
    assert all(p.grad.dtype == dtype for p in layer.parameters())


@names
@pytest.mark.parametrize("dtype", [torch.float32, HALF])
def test_no_scale_below_min_scale_in_low_precision(name: str, dtype: torch.dtype) -> None:
    layer, (x, *rest) = a_layer(name)
    with torch.no_grad():
        layer.weight.mul_(1000)
    with autocast():
        _, scale = layer.to(dtype).params(x.to(dtype), *rest)
    least = torch.tensor(1e-3)
    assert scale.dtype == torch.float32
    assert scale.min() == least


def test_half_precision_noise_is_not_coarse() -> None:
    """Draws in bfloat16 would have 8 bits: about a thousand distinct values in all."""
    layer, x = sf.nn.AdditiveNoise((1000,)).to(HALF), torch.zeros(10, 1000, dtype=HALF)
    with sf.record(layer) as rec:
        layer(x)
    assert len(rec.samples["AdditiveNoise"].unique()) > 9000


@pytest.mark.parametrize("dtype", [HALF, torch.float16, torch.float32])
@pytest.mark.parametrize("high", [0.1, 0.3, 0.7, 1 / 3])
def test_a_bound_is_not_overstepped_in_low_precision(dtype: torch.dtype, high: float) -> None:
    layer = sf.nn.AdditiveNoise((8,), bound=(-high, high)).to(dtype)
    location, _ = layer.params(torch.linspace(-3, 3, 8, dtype=dtype).unsqueeze(0))
    assert location.max() == torch.tensor(high)
    assert location.min() == -torch.tensor(high)


def test_additive_noise_promotes_as_a_sum_does() -> None:
    layer = sf.nn.AdditiveNoise((3,))
    assert layer(torch.zeros(2, 3, dtype=torch.float64)).dtype == torch.float64
    assert layer(torch.zeros(2, 3, dtype=HALF)).dtype == HALF


@pytest.mark.parametrize("dtype", [HALF, torch.float64])
def test_eps_of_another_dtype(dtype: torch.dtype) -> None:
    layer, x = sf.nn.StochasticLinear(4, 3), torch.randn(2, 4)
    eps = torch.randn(2, 3).to(dtype)
    h = layer(x, eps)
    assert h.dtype == torch.float32
    torch.testing.assert_close(h, layer(x, eps.float()))


def test_a_learned_selection_in_bfloat16_is_not_biased_by_ties() -> None:
    """256 equal classes: in 8 bits their scores would tie, and the first would win."""
    soft = sf.nn.SoftSelection(256, combine="mixture").to(HALF)
    layer = sf.nn.ConditionalLinear(256, 1, 1, bias=False).to(HALF)
    with torch.no_grad():
        layer.weight[:, 0, 0] = torch.arange(256.0)
        layer.weight[:, 1, 0] = -100.0
        drawn = layer.params(torch.ones(4096, 1, dtype=HALF), soft)[0]
    assert abs(drawn.mean().item() - 127.5) < 5 * 73.9 / 64  # five standard errors
