"""Corners where weights and their divergence were once wrong, or could be."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import sfumato as sf
from sfumato.errors import SettingError
from sfumato.noise import Binomial, Gaussian, Multinomial
from tests.nn.weights.cases import ESTIMATORS, KERNELS, kernels


@pytest.mark.parametrize("value", [300.0, 0.01])
@pytest.mark.parametrize("how", ["half", "autocast"])
def test_local_variance_in_half_precision(value: float, how: str) -> None:
    """x² overflows float16 at 256. n = 4000 draws, seed 0; the standard deviation within 15 %,
    13 standard errors: false-alarm probability below 1e-30."""
    torch.manual_seed(0)
    law = Gaussian(1e-4)
    layer = sf.nn.BayesianLinear(8, 1, bias=False, estimator="local", scale=0.01, noise=law)
    with torch.no_grad():
        layer.weight.zero_()
    x = torch.full((4000, 8), value)
    if how == "half":
        h = layer.half()(x.half())
    else:
        with torch.autocast("cpu", torch.float16):
            h = layer(x)
    assert h.dtype == torch.float16 and h.isfinite().all()
    wanted = 0.01 * value * 8**0.5
    assert abs(h.float().std() / wanted - 1) < 0.15


def test_bayesian_inside_bayesian_is_refused() -> None:
    net = nn.Sequential(sf.nn.BayesianLinear(4, 3), nn.ReLU())
    with pytest.raises(SettingError, match=r"holds Bayesian layers already \(0\)"):
        sf.nn.bayesian(net)
    with pytest.raises(SettingError, match="itself"):
        sf.nn.bayesian(sf.nn.bayesian(nn.Linear(2, 2)))
    with pytest.raises(SettingError, match="names is empty"):
        sf.nn.bayesian(nn.Linear(2, 2), names=[])


def test_a_density_and_whole_numbers_have_no_divergence() -> None:
    with pytest.raises(SettingError, match="weights follow a law of whole numbers"):
        sf.nn.BayesianLinear(3, 2, noise=Binomial(1)).kl()
    with pytest.raises(SettingError, match="the prior is a law of whole numbers"):
        sf.nn.BayesianLinear(3, 2, prior=torch.distributions.Poisson(1.0)).kl()
    with pytest.raises(SettingError, match="ties together"):
        sf.nn.BayesianLinear(3, 2, noise=Multinomial()).kl()
    with pytest.raises(SettingError, match="give scalar parameters"):
        sf.nn.BayesianLinear(3, 2, prior=torch.distributions.Normal(torch.zeros(2), 1.0))


PRIORS = [sf.nn.GaussianPrior(), sf.nn.ScaleMixture()]


@pytest.mark.parametrize("prior", PRIORS, ids=lambda p: type(p).__name__)
@pytest.mark.parametrize("reentrant", [False, True])
def test_recorded_under_checkpointing(reentrant: bool, prior: Any) -> None:
    def make() -> nn.Sequential:
        torch.manual_seed(3)
        first = sf.nn.BayesianLinear(3, 4, prior=prior, estimator="reparameterization")
        return nn.Sequential(first, sf.nn.StochasticLinear(4, 2))

    slopes = []
    for wrapped in (False, True):
        net, x = make(), torch.ones(3, 3, requires_grad=True)
        torch.manual_seed(5)
        with sf.record(net) as rec:
            h: Any = checkpoint(net, x, use_reentrant=reentrant) if wrapped else net(x)
            h.sum().backward()
        assert rec.samples["1"].shape == (3, 2)
        assert rec.kl.requires_grad
        slopes.append([p.grad for p in net.parameters()])
    torch.testing.assert_close(slopes[0], slopes[1])


def test_the_mean_has_a_divergence_too() -> None:
    layer = sf.nn.BayesianLinear(3, 2)
    with sf.sampling(layer, "mean"), sf.record(layer) as rec:
        layer(torch.ones(2, 3))
    torch.testing.assert_close(rec.kl, layer.kl())


def test_a_replica_is_recorded_as_its_layer() -> None:
    layer = sf.nn.BayesianLinear(3, 2, estimator="reparameterization")
    net = nn.Sequential(layer, sf.nn.StochasticLinear(2, 2))
    with sf.record(net) as rec:
        for _ in range(2):
            for part in net:
                replica: Any = part._replicate_for_data_parallel()
                for name, value in part.named_parameters(recurse=False):
                    setattr(replica, name, value)
                replica(torch.ones(2, replica.operator.inputs))
    torch.testing.assert_close(rec.kl, layer.kl())
    assert rec.samples["1"].shape == (4, 2)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_cryptographic_source_is_the_only_one(estimator: Any) -> None:
    layer = sf.nn.BayesianLinear(3, 2, estimator=estimator, prior=sf.nn.ScaleMixture())
    before = torch.get_rng_state()
    with sf.sampling(layer, source="os"):
        layer(torch.ones(2, 3))
        layer.kl()
    assert torch.equal(torch.get_rng_state(), before)


def test_a_padding_row_stays_what_it_is() -> None:
    words = sf.nn.bayesian(nn.Embedding(5, 3, padding_idx=0), scale=1.0)
    vectors = words(torch.tensor([[0, 1], [2, 0]]))
    assert not vectors[0, 0].any() and not vectors[1, 1].any() and vectors[0, 1].any()


def test_sparse_gradients_of_an_embedding() -> None:
    words = sf.nn.bayesian(nn.Embedding(5, 3, sparse=True))
    with sf.record(words) as rec:
        h = words(torch.tensor([1, 1, 4]))
    (h.sum() + rec.kl).backward()
    assert words.module.weight.grad is not None


class Awkward(nn.Module):
    """A parameter `weight` beside a child `module`, and one with the name of a dict's method."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.keys = (nn.Parameter(torch.randn(2)) for _ in range(2))
        self.module = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x) * self.weight + self.keys


def test_awkward_names() -> None:
    plain, x = Awkward(), torch.ones(1, 2)
    a, b, c = (sf.nn.bayesian(Awkward()) for _ in range(3))
    b.load_state_dict(a.state_dict())
    c.load_state_dict(plain.state_dict())
    for one, other in ((a, b), (c, plain)):
        with sf.sampling(one, "mean"), sf.sampling(other, "mean"):
            torch.testing.assert_close(one(x), other(x))


def test_memory_formats() -> None:
    net = nn.Sequential(sf.nn.BayesianConv2d(4, 4, 3), sf.nn.bayesian(nn.Conv2d(4, 4, 1)))
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.randn(2, 4, 5, 5).to(memory_format=torch.channels_last)
    h = net(x)
    h.sum().backward()
    assert h.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("name", KERNELS)
def test_exported_with_any_batch(name: str) -> None:
    layer, x = kernels()[name]
    batch = torch.export.Dim("batch")
    program = torch.export.export(layer, (x,), dynamic_shapes=({0: batch},)).module()
    assert program(torch.cat([x, x, x])).shape[0] == 3 * len(x)


def test_reset_after_to_empty() -> None:
    layer = sf.nn.BayesianLinear(3, 2, scale=0.2, device="meta").to_empty(device="cpu")
    layer.reset_parameters()
    scales = layer.weight_params()["weight"][1]
    torch.testing.assert_close(scales, torch.full_like(scales, 0.2))


def test_nothing_of_a_recurrent_call_is_kept() -> None:
    lstm = sf.nn.bayesian(nn.LSTM(3, 4))
    lstm(torch.ones(2, 1, 3))
    inner: Any = lstm.module
    assert all(weight.grad_fn is None for weight in inner._flat_weights)


def test_scales_that_vanish_have_second_derivatives() -> None:
    raw = torch.full((3,), -200.0, requires_grad=True)
    weight = sf.nn.BayesianLinear(1, 3, bias=False)._drawn((torch.zeros(3), raw))
    (slope,) = torch.autograd.grad(weight.square().sum(), raw, create_graph=True)
    (second,) = torch.autograd.grad(slope.sum(), raw)
    assert second.isfinite().all()
