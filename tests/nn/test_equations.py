"""Equations 1 to 7 of the source on conditional noise layers, letter by letter, in float64."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

import sfumato as sf
from tests.nn import reference

MIN_SCALE = 1e-3
H: dict[str, Any] = {"dtype": torch.float64}


def layer_of(classes: int) -> sf.nn.ConditionalConv2d:
    return sf.nn.ConditionalConv2d(classes, 1, 1, (3, 2), bias=False, **H)


def test_eq_1_convolution() -> None:
    layer = sf.nn.StochasticConv2d(1, 1, (3, 2), bias=False, **H)
    x, k = torch.randn(1, 1, 5, 4, **H), layer.weight[0, 0]
    h = layer.params(x)[0][0, 0]
    for m in range(3):
        for n in range(3):
            total = sum(k[i, j] * x[0, 0, m + i, n + j] for i in range(3) for j in range(2))
            torch.testing.assert_close(h[m, n], total)


@pytest.mark.parametrize("c", range(4))
def test_eq_2_and_5_location_of_each_class(c: int) -> None:
    layer, x = layer_of(4), torch.randn(1, 1, 5, 4, **H)
    location, _ = layer.params(x, torch.tensor([c]))
    k_mu = layer.weight[c, 0, 0]
    for m in range(3):
        for n in range(3):
            total = sum(k_mu[i, j] * x[0, 0, m + i, n + j] for i in range(3) for j in range(2))
            torch.testing.assert_close(location[0, 0, m, n], total)


@pytest.mark.parametrize("c", range(4))
def test_eq_6_scale_of_each_class_made_positive(c: int) -> None:
    layer, x = layer_of(4), torch.randn(1, 1, 5, 4, **H)
    _, scale = layer.params(x, torch.tensor([c]))
    k_sigma = layer.weight[c, 1, 0]
    for m in range(3):
        for n in range(3):
            seen = x[0, 0, m : m + 3, n : n + 2]
            raw = sum((k_sigma[i, j] * seen[i, j]).item() for i in range(3) for j in range(2))
            sigma = math.log1p(math.exp(raw)) + MIN_SCALE
            assert scale[0, 0, m, n].item() == pytest.approx(sigma, rel=1e-13)


def test_eq_7_the_sample() -> None:
    layer, x = layer_of(4), torch.randn(3, 1, 5, 4, **H)
    c, eps = torch.tensor([2, 0, 3]), torch.randn(3, 1, 3, 3, **H)
    mu, sigma = layer.params(x, c)
    h = layer(x, c, eps=eps)
    for index in torch.cartesian_prod(*map(torch.arange, (3, 3, 3))).tolist():
        b, m, n = index
        expected = mu[b, 0, m, n] + sigma[b, 0, m, n] * eps[b, 0, m, n]
        torch.testing.assert_close(h[b, 0, m, n], expected)


def test_eq_3_fully_connected() -> None:
    layer = sf.nn.StochasticLinear(4, 3, bias=False, **H)
    x = torch.randn(2, 4, **H)
    h = layer.params(x)[0]
    for b in range(2):
        for o in range(3):
            total = sum(layer.weight[o, i] * x[b, i] for i in range(4))
            torch.testing.assert_close(h[b, o], total)


@pytest.mark.parametrize("c", range(3))
def test_eq_4_fully_connected_for_each_class(c: int) -> None:
    layer = sf.nn.ConditionalLinear(3, 4, 2, **H)
    x, labels = torch.randn(2, 4, **H), torch.tensor([c, c])
    mu, sigma = layer.params(x, labels)
    assert layer.bias is not None
    for b in range(2):
        for o in range(2):
            total = sum(layer.weight[c, o, i] * x[b, i] for i in range(4))
            torch.testing.assert_close(mu[b, o], total + layer.bias[c, o])
            raw = sum(layer.weight[c, 2 + o, i] * x[b, i] for i in range(4))
            raw = (raw + layer.bias[c, 2 + o]).item()
            assert sigma[b, o].item() == pytest.approx(math.log1p(math.exp(raw)) + MIN_SCALE)


def test_the_sum_over_input_channels() -> None:
    layer = sf.nn.StochasticConv2d(3, 2, 2, bias=False, **H)
    x = torch.randn(1, 3, 3, 3, **H)
    how = reference.geometry(layer)
    alone = [
        reference.correlate(x[0, i : i + 1], layer.weight[:2, i : i + 1], how) for i in range(3)
    ]
    torch.testing.assert_close(layer.params(x)[0][0], alone[0] + alone[1] + alone[2])
