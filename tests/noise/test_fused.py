"""The draw as one node of the graph: same numbers, same gradients, less kept."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

import sfumato as sf
from sfumato.errors import SettingError
from sfumato.noise import Gaussian, Laplace, NoiseLaw
from sfumato.noise.base import NoiseLaw as Base

SHAPES = [(3, 4), (2, 6, 5, 5), (40, 2 * 4096), (7, 2 * 50_001), (1, 2 * 300_000), (0, 4), (3, 0)]
LAWS = [Gaussian(0.01), Laplace(0.01)]


def plain(law: NoiseLaw, raw: Tensor) -> Tensor:
    """The same draw by plain operations."""
    return Base.draw_from(law, raw, 1)


@pytest.mark.parametrize("law", LAWS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_same_sample_and_gradient(law: NoiseLaw, shape: tuple[int, ...], dtype: Any) -> None:
    raw = torch.randn(shape, dtype=dtype, requires_grad=True)
    torch.manual_seed(7)
    wanted = plain(law, raw)
    torch.manual_seed(7)
    found = law.draw_from(raw, 1)
    torch.testing.assert_close(found, wanted)
    upstream = torch.randn_like(wanted)
    torch.testing.assert_close(
        torch.autograd.grad(found, raw, upstream), torch.autograd.grad(wanted, raw, upstream)
    )
    torch.manual_seed(7)
    with torch.no_grad():
        torch.testing.assert_close(law.draw_from(raw, 1), wanted)


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_raw_values_of_any_layout(law: NoiseLaw) -> None:
    raw = torch.randn(4, 6, 5, 5).to(memory_format=torch.channels_last).requires_grad_()
    torch.manual_seed(7)
    wanted = plain(law, raw)
    torch.manual_seed(7)
    found = law.draw_from(raw, 1)
    torch.testing.assert_close(found, wanted)
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(
        torch.autograd.grad(found.sum(), raw), torch.autograd.grad(wanted.sum(), raw)
    )


def test_two_draws_before_one_backward_keep_their_own_noise() -> None:
    raw = torch.zeros(5, 4, requires_grad=True)
    first, second = (Gaussian().draw_from(raw, 1) for _ in range(2))
    torch.autograd.backward([first.sum(), second.sum()])
    assert raw.grad is not None
    eps = (first + second).detach() / (torch.zeros(()).exp().log1p() + 1e-3)
    torch.testing.assert_close(raw.grad[:, 2:], eps / 2)


def test_one_tensor_of_the_sample_size_is_kept() -> None:
    layer = sf.nn.StochasticConv2d(3, 8, 3)
    kept: dict[int, int] = {}

    def pack(value: Tensor) -> Tensor:
        kept[value.untyped_storage().data_ptr()] = value.numel()
        return value

    x = torch.randn(4, 3, 10, 10)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        h = layer(x)
    known = {t.untyped_storage().data_ptr() for t in (x, *layer.parameters())}
    assert sum(size for at, size in kept.items() if at not in known) == h.numel()


def test_a_second_derivative_needs_noise_from_outside() -> None:
    layer, x = sf.nn.StochasticLinear(3, 2), torch.randn(4, 3, requires_grad=True)
    with pytest.raises(SettingError, match="eps"):
        torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
    (slope,) = torch.autograd.grad(
        layer(x, eps=torch.randn(4, 2)).square().sum(), x, create_graph=True
    )
    slope.square().sum().backward()
    network = torch.nn.Sequential(layer, torch.nn.Tanh(), sf.nn.StochasticLinear(2, 1))
    with sf.record(network):
        (slope,) = torch.autograd.grad(network(x).sum(), x, create_graph=True)
    slope.square().sum().backward()


def test_a_mean_costs_what_the_plain_layer_costs() -> None:
    layer, x = sf.nn.StochasticConv2d(2, 3, 3, groups=1), torch.randn(2, 2, 6, 6)
    counter = FlopCounterMode(display=False)
    with counter, sf.sampling(layer, "mean"):
        layer(x)
    assert counter.get_total_flops() == 2 * x.shape[0] * 3 * 16 * 2 * 9
