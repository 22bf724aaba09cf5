"""What other libraries of Bayesian layers were measured to get wrong, one test each."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

import sfumato as sf
from tests.nn.weights.cases import ESTIMATORS, KERNELS, first, kernels


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("name", KERNELS)
def test_two_forwards_before_one_backward(name: str, estimator: Any) -> None:
    """Each call must keep its own noise: the slope of a sum is the sum of the slopes."""
    layer, x = kernels(estimator=estimator, scale=0.4)[name]
    parameters = list(layer.parameters())
    slopes = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        slopes.append(torch.autograd.grad(layer(x).square().sum(), parameters))
    losses = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        losses.append(layer(x).square().sum())
    together = torch.autograd.grad(losses[0] + losses[1], parameters)
    for found, a, b in zip(together, *slopes, strict=True):
        torch.testing.assert_close(found, a + b)


@pytest.mark.parametrize("name", KERNELS)
def test_flipout_is_exact_as_the_scale_vanishes(name: str) -> None:
    law = sf.noise.Gaussian(min_scale=1e-12)
    layer, x = kernels(estimator="flipout", noise=law, scale=1e-11)[name]
    with sf.sampling(layer, "mean"):
        mean = layer(x)
    torch.testing.assert_close(layer(x), mean, rtol=0, atol=1e-8)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_huge_raw_scale_stays_finite(estimator: Any) -> None:
    layer = sf.nn.BayesianLinear(3, 2, estimator=estimator)
    with torch.no_grad():
        for raw in (layer.weight_raw, layer.bias_raw):
            assert raw is not None
            raw.fill_(100.0)
    h = layer(torch.randn(4, 3))
    (h.sum() + layer.kl()).backward()
    assert h.isfinite().all() and layer.kl().isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())


def test_a_prior_scale_is_a_standard_deviation() -> None:
    layer = sf.nn.BayesianLinear(30, 20, prior=sf.nn.GaussianPrior(scale=2.0))
    wanted = sum(
        kl_divergence(Normal(m, s), Normal(0.0, 2.0)).sum()
        for m, s in layer.weight_params().values()
    )
    torch.testing.assert_close(layer.kl(), wanted)


def test_the_divergence_of_a_recurrent_layer_is_counted_once() -> None:
    lstm = sf.nn.bayesian(nn.LSTM(3, 4, num_layers=2))
    torch.testing.assert_close(sf.objectives.kl(nn.ModuleList([lstm])), lstm.kl())
    wanted = sum(
        kl_divergence(Normal(m, s), Normal(0.0, 1.0)).sum()
        for m, s in lstm.weight_params().values()
    )
    torch.testing.assert_close(lstm.kl(), wanted)


def test_eval_alone_changes_nothing() -> None:
    layer = sf.nn.BayesianLinear(3, 2).eval()
    x = torch.ones(64, 3)
    assert (layer(x) != layer(x)).any()


def test_a_copy_after_a_call() -> None:
    for layer, x in kernels().values():
        layer(x).sum().backward()
        assert torch.equal(copy.deepcopy(layer).weight, layer.weight)


def test_a_recurrent_layer_draws_once_per_call() -> None:
    """All steps see the same weights: on constant input the state settles."""
    torch.manual_seed(0)
    gru = sf.nn.bayesian(nn.GRU(2, 3), scale=0.3)
    h = first(gru(torch.ones(300, 1, 2)))
    torch.testing.assert_close(h[-1], h[-2], rtol=1e-4, atol=1e-4)
