"""Noise is fresh: for each record of a batch and for each call, and independent between them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from scipy.stats import norm
from torch import Tensor

import sfumato as sf
from tests.nn.cases import CLASSES, NAMES, a_layer

names = pytest.mark.parametrize("name", NAMES)


def same_records(name: str, batch: int = 6) -> tuple[Any, tuple[Tensor, ...]]:
    """A layer and a batch of one and the same record."""
    layer, arguments = a_layer(name)
    return layer, tuple(a[:1].expand(batch, *a.shape[1:]) for a in arguments)


def differ(a: Tensor, b: Tensor) -> bool:
    """Whether most elements differ: one pair in ten million is equal by chance."""
    return (a != b).float().mean().item() > 0.5


def noise_of(layer: Any, arguments: tuple[Any, ...]) -> Tensor:
    """ε, worked out from sample and parameters."""
    with sf.record(layer) as rec:
        layer(*arguments)
    (location, scale), h = next(iter(rec.params.values())), next(iter(rec.samples.values()))
    return ((h - location) / scale).detach()


@names
@pytest.mark.parametrize("source", ["torch", "os"])
def test_the_same_record_gets_other_noise_in_one_batch(name: str, source: Any) -> None:
    layer, arguments = same_records(name)
    with sf.sampling(layer, source=source):
        h = layer(*arguments)
    for i in range(len(h)):
        for j in range(i):
            assert differ(h[i], h[j])


@names
def test_every_element_of_a_record_gets_its_own(name: str) -> None:
    layer, arguments = same_records(name, 1)
    eps = noise_of(layer, arguments)
    assert len(eps.unique()) == eps.numel()


@names
@pytest.mark.parametrize("source", ["torch", "os"])
def test_every_call_draws_anew(name: str, source: Any) -> None:
    layer, arguments = same_records(name)
    with sf.sampling(layer, source=source):
        first, second = layer(*arguments), layer(*arguments)
    assert differ(first, second)


@names
def test_a_record_keeps_its_noise_whatever_the_others_are(name: str) -> None:
    layer, (x, *rest) = a_layer(name)
    layer, x = layer.double(), x.double()
    torch.manual_seed(4)
    eps = noise_of(layer, (x, *rest))
    changed = torch.cat([x[:1], 5 * torch.randn_like(x[1:])])
    other = [torch.cat([r[:1], (r[1:] + 1) % CLASSES]) for r in rest]
    torch.manual_seed(4)
    torch.testing.assert_close(noise_of(layer, (changed, *other)), eps)


@names
def test_records_are_not_correlated(name: str) -> None:
    """Noise of neighbouring records and of consecutive calls; seed 0.

    The mean product of n >= 4,497 pairs is within 4.9 standard errors: false alarm 1e-6 each.
    """
    layer, arguments = same_records(name, 1500)
    first, second = (noise_of(layer, arguments).double() for _ in range(2))
    for a, b in ((first[1:], first[:-1]), (first, second)):
        assert abs((a * b).mean().item()) < norm.isf(5e-7) / math.sqrt(a.numel())


def test_two_layers_of_one_network_draw_apart() -> None:
    network = torch.nn.Sequential(sf.nn.AdditiveNoise((50,)), sf.nn.AdditiveNoise((50,)))
    with sf.record(network) as rec:
        network(torch.zeros(4, 50))
    first = rec.samples["0"]
    second = rec.samples["1"] - first
    assert (first != second).all()


def test_a_scale_of_the_standard_size_for_each_class() -> None:
    """σ of each class is met: n = 20,000 for each, seed 0; the relative error stays under 4 %."""
    layer = sf.nn.ConditionalAdditiveNoise(3, (1,))
    sigmas = torch.tensor([0.05, 1.0, 7.0])
    with torch.no_grad():
        for c, sigma in enumerate(sigmas.tolist()):
            layer.weight[c, 1] = sf.noise.raw_scale(sigma, 1e-3)
        labels = torch.arange(3).repeat_interleave(20_000)
        h = layer(torch.zeros(60_000, 1), labels).reshape(3, -1)
    torch.testing.assert_close(h.std(1), sigmas, rtol=0.04, atol=0.0)
