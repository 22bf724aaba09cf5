"""Priors and the divergence from them: formulas, estimates, errors."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, Normal, kl_divergence
from torch.distributions import Laplace as LaplaceDistribution

import sfumato as sf
from sfumato.errors import SettingError
from sfumato.nn.weights.prior import read_prior


def test_gaussian_density() -> None:
    w = torch.linspace(-3, 3, 7, dtype=torch.float64)
    found = sf.nn.GaussianPrior(0.7, 0.2).log_prob(w)
    torch.testing.assert_close(found, Normal(0.2, torch.tensor(0.7, dtype=w.dtype)).log_prob(w))


def test_scale_mixture_density() -> None:
    w = torch.linspace(-3, 3, 7, dtype=torch.float64)
    mixture = MixtureSameFamily(
        Categorical(torch.tensor([0.25, 0.75], dtype=w.dtype)),
        Normal(torch.zeros(2, dtype=w.dtype), torch.tensor([1.5, 0.1], dtype=w.dtype)),
    )
    torch.testing.assert_close(sf.nn.ScaleMixture(0.25, 1.5, 0.1).log_prob(w), mixture.log_prob(w))


def test_summed_over_weights_and_biases() -> None:
    layer = sf.nn.BayesianLinear(4, 3, prior=sf.nn.GaussianPrior(2.0), dtype=torch.float64)
    wanted = torch.zeros((), dtype=torch.float64)
    for params in layer.weight_params().values():
        for mean, scale in zip(*(p.flatten() for p in params), strict=True):
            wanted += torch.log(2 / scale) + (scale**2 + mean**2) / 8 - 0.5
    torch.testing.assert_close(layer.kl(), wanted)


@pytest.mark.parametrize("law", [sf.noise.Laplace(), sf.noise.Gaussian()], ids=str)
def test_torch_distributions_as_priors(law: Any) -> None:
    prior = Normal(0.5, 2.0) if isinstance(law, sf.noise.Laplace) else LaplaceDistribution(0.0, 1.0)
    layer = sf.nn.BayesianLinear(300, 200, noise=law, prior=prior, scale=0.3)
    learned = law.distribution(layer.weight_params()["weight"])
    try:
        wanted = kl_divergence(learned, prior).sum()
    except NotImplementedError:
        w = learned.rsample()
        wanted = (learned.log_prob(w) - prior.log_prob(w)).sum()
    torch.testing.assert_close(layer.kl(), wanted, rtol=0.03, atol=0.0)


def test_an_estimated_divergence_is_unbiased() -> None:
    """A Gaussian density given as a function has the closed form as its mean.

    n = 400 estimates, seed 0; false-alarm probability 6e-7 (5 standard errors).
    """
    torch.manual_seed(0)
    layer = sf.nn.BayesianLinear(20, 10, scale=0.5, prior=sf.nn.GaussianPrior(0.8))
    exact = layer.kl()
    layer.prior = read_prior(lambda w: sf.nn.GaussianPrior(0.8).log_prob(w).sum())
    found = torch.stack([layer.kl().detach() for _ in range(400)])
    assert abs(found.mean() - exact) < 5 * found.std() / math.sqrt(len(found))
    layer.kl().backward()
    assert layer.weight_raw is not None and layer.weight_raw.grad is not None


def test_discrete_weights() -> None:
    """Binomial weights have the divergence that torch has for two binomials."""
    prior = torch.distributions.Binomial(3, logits=torch.zeros(()))
    layer = sf.nn.BayesianLinear(4, 2, noise=sf.noise.Binomial(3), prior=prior)
    assert set(layer.state_dict()) == {"weight", "bias"}
    weight = layer.noise.distribution((layer.weight,))
    assert layer.bias is not None
    bias = layer.noise.distribution((layer.bias,))
    wanted = kl_divergence(weight, prior).sum() + kl_divergence(bias, prior).sum()
    torch.testing.assert_close(layer.kl(), wanted)
    h = layer(torch.eye(4))
    assert torch.equal(h, h.round())
    torch.autograd.grad(h.sum(), layer.weight)


@pytest.mark.parametrize(
    "wrong", [lambda: sf.nn.GaussianPrior(0.0), lambda: sf.nn.GaussianPrior(float("nan"))]
)
def test_bad_scales(wrong: Any) -> None:
    with pytest.raises(SettingError, match="scale must be above 0"):
        wrong()


def test_bad_mixtures_and_priors() -> None:
    with pytest.raises(SettingError, match="share"):
        sf.nn.ScaleMixture(share=1.0)
    with pytest.raises(SettingError, match="narrow"):
        sf.nn.ScaleMixture(narrow=-1.0)
    wrong: Any = "gaussian"
    with pytest.raises(SettingError, match="a prior is"):
        sf.nn.BayesianLinear(2, 2, prior=wrong)


def test_each_layer_counts_once() -> None:
    layer, last = sf.nn.BayesianLinear(3, 3), sf.nn.BayesianLinear(3, 2)
    twice = torch.nn.Sequential(layer, torch.nn.ReLU(), layer, last)
    torch.testing.assert_close(sf.objectives.kl(twice), layer.kl() + last.kl())
    with sf.record(twice) as rec:
        twice(torch.randn(2, 3))
    torch.testing.assert_close(rec.kl, sf.objectives.kl(twice))
    assert not sf.objectives.kl(torch.nn.Linear(2, 2))
    assert "_kl_observers" not in vars(layer)


def test_only_layers_that_were_called_are_recorded() -> None:
    called, idle = sf.nn.BayesianLinear(3, 3), sf.nn.BayesianLinear(3, 3)
    with sf.record(torch.nn.ModuleList([called, idle])) as rec:
        called(torch.randn(2, 3))
    torch.testing.assert_close(rec.kl, called.kl())
