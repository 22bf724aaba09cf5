"""Bayesian layers with a kernel: estimators, moments, starting from trained layers."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import sfumato as sf
from sfumato.errors import DataError, SettingError
from tests.nn.weights.cases import ESTIMATORS, KERNELS, kernels

MANY = 4000


def plain(layer: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The plain torch layer with these weights."""
    if isinstance(layer, sf.nn.BayesianLinear):
        return F.linear(x, weight, bias)
    geometry = layer.operator
    convolve = (F.conv1d, F.conv2d, F.conv3d)[geometry.spatial - 1]
    rest = (geometry.stride, geometry.padding, geometry.dilation, geometry.groups)
    return convolve(x, weight, bias, *rest)


@pytest.mark.parametrize("name", KERNELS)
def test_reparameterization_is_the_plain_layer_under_one_draw(name: str) -> None:
    layer, x = kernels(estimator="reparameterization", scale=0.3)[name]
    params = layer.weight_params()
    torch.manual_seed(1)
    found = layer(x)
    torch.manual_seed(1)
    drawn = [m + s * torch.normal(0.0, 1.0, m.shape) for m, s in params.values()]
    torch.testing.assert_close(found, plain(layer, x, *drawn))


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("name", KERNELS)
def test_moments_of_every_estimator(name: str, estimator: Any) -> None:
    """Mean and variance of an output are those of the weights' law: Σ μ x and Σ σ² x².

    n = 4000 draws, seed 0. Bounds of 6 standard errors for the mean and 25 % for the variance (11
    standard errors at worst): false-alarm probability below 1e-6 over all outputs.
    """
    torch.manual_seed(0)
    layer, x = kernels(estimator=estimator, scale=0.3)[name]
    x = x[:2]
    params = layer.weight_params()
    mean = plain(layer, x, params["weight"][0], params["bias"][0])
    variance = plain(layer, x.square(), params["weight"][1].square(), params["bias"][1].square())
    with torch.no_grad():
        draws = torch.stack([layer(x) for _ in range(MANY)])
    error = (variance / MANY).sqrt()
    assert ((draws.mean(0) - mean).abs() < 6 * error).all()
    torch.testing.assert_close(draws.var(0), variance, rtol=0.25, atol=0.0)


@pytest.mark.parametrize(
    ("estimator", "shared"), [("local", False), ("flipout", False), ("reparameterization", True)]
)
def test_which_noise_a_batch_shares(estimator: Any, shared: bool) -> None:
    layer = sf.nn.BayesianLinear(5, 4, estimator=estimator, scale=0.5)
    x = torch.randn(1, 5).expand(6, 5)
    h = layer(x)
    same = torch.isclose(h, h[:1]).all(1)
    assert bool(same.all()) == (estimator == "reparameterization")


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_gradients_reach_every_parameter(name: str, estimator: Any) -> None:
    layer, x = kernels(estimator=estimator)[name]
    x.requires_grad_()
    layer(x).square().sum().backward()
    for value in (x, *layer.parameters()):
        assert value.grad is not None and value.grad.isfinite().all() and value.grad.any()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_gradients_against_finite_differences(estimator: Any) -> None:
    layer = sf.nn.BayesianLinear(3, 2, estimator=estimator, scale=0.4, dtype=torch.float64)
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in layer.named_parameters()]

    def run(x: Tensor, *values: Tensor) -> Tensor:
        torch.manual_seed(2)
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))

    values = tuple(p.detach().clone().requires_grad_() for p in layer.parameters())
    assert torch.autograd.gradcheck(run, (x, *values))


def test_a_record_of_zeros_has_finite_gradients() -> None:
    layer = sf.nn.BayesianLinear(3, 2, bias=False, estimator="local")
    layer(torch.zeros(2, 3)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())


@pytest.mark.parametrize("name", KERNELS)
def test_the_mean_is_the_plain_layer(name: str) -> None:
    layer, x = kernels()[name]
    with sf.sampling(layer, "mean"):
        torch.testing.assert_close(layer(x), plain(layer, x, layer.weight, layer.bias))


def test_draws_are_averaged_over_passes() -> None:
    """256 passes bring the standard deviation to a sixteenth. n = 40, seed 0; a band of 2 either
    way: false-alarm probability below 1e-4 (chi-square, 39 degrees of freedom)."""
    torch.manual_seed(0)
    layer = sf.nn.BayesianLinear(4, 1, estimator="reparameterization", scale=0.5)
    x = torch.ones(1, 4)
    with torch.no_grad():
        single = torch.cat([layer(x) for _ in range(4000)]).std()
        with sf.sampling(layer, 256):
            averaged = torch.cat([layer(x) for _ in range(40)]).std()
    assert 0.5 < averaged * 16 / single < 2


def test_auto_goes_by_rows() -> None:
    layer = sf.nn.BayesianLinear(4, 3, scale=0.5)
    few, many = torch.ones(4, 4), torch.ones(256, 4)
    assert not torch.isclose(layer(few), layer(few)[:1]).all()
    h = layer(many)
    torch.testing.assert_close(h, h[:1].expand_as(h))
    assert sf.nn.BayesianLinear(4, 3, noise=sf.noise.Laplace())(few).shape == (4, 3)


PLAIN = [
    nn.Linear(4, 3),
    nn.Linear(4, 3, bias=False, dtype=torch.float64),
    nn.Conv1d(2, 4, 3, stride=2, padding=1, groups=2, padding_mode="circular"),
    nn.Conv2d(2, 3, (3, 2), padding="same", dilation=2),
    nn.Conv3d(1, 2, 2, bias=False),
]


@pytest.mark.parametrize("family", ["Bayesian", "Stochastic"])
@pytest.mark.parametrize("module", PLAIN, ids=str)
def test_starting_from_a_trained_layer(module: Any, family: str) -> None:
    module = copy.deepcopy(module).eval()
    module.weight.requires_grad_(False)
    kind = getattr(sf.nn, family + type(module).__name__)
    layer: Any = kind.from_module(module, scale=0.01)
    x = torch.randn(
        4,
        *(4,)
        if isinstance(module, nn.Linear)
        else (module.in_channels, 7, 7, 7)[: 1 + len(module.kernel_size)],
    )
    x = x.to(module.weight.dtype)
    with sf.sampling(layer, "mean"):
        torch.testing.assert_close(layer(x), module(x))
    assert not layer.training and not layer.weight.requires_grad
    assert layer.weight.dtype == module.weight.dtype
    spread = (layer(x) - module(x)).detach()
    assert spread.any() and spread.abs().max() < 1
    with torch.no_grad():
        module.weight.add_(1)
    with sf.sampling(layer, "mean"):
        assert not torch.allclose(layer(x), module(x))


@pytest.mark.parametrize("family", ["Bayesian", "Stochastic"])
def test_the_plain_state_dict_is_accepted(family: str) -> None:
    trained = nn.Sequential(nn.Linear(4, 3), nn.Conv1d(3, 2, 1))
    net = nn.Sequential(
        getattr(sf.nn, family + "Linear")(4, 3), getattr(sf.nn, family + "Conv1d")(3, 2, 1)
    )
    before = {k: v.clone() for k, v in net.state_dict().items()}
    net.load_state_dict(trained.state_dict())
    for name, value in trained.state_dict().items():
        assert torch.equal(net.state_dict()[name][: len(value)], value)
        assert torch.equal(net.state_dict()[name][len(value) :], before[name][len(value) :])
    own = net.state_dict()
    net.load_state_dict(own)
    assert len({v.data_ptr() for v in own.values()}) == len(own)
    with pytest.raises(RuntimeError, match="Missing"):
        net.load_state_dict({})
    with pytest.raises(RuntimeError, match="size mismatch"):
        net[0].load_state_dict(nn.Linear(5, 3).state_dict())


def test_bad_settings() -> None:
    wrong: Any = "best"
    with pytest.raises(SettingError, match="unknown estimator 'best'"):
        sf.nn.BayesianLinear(2, 2, estimator=wrong)
    with pytest.raises(SettingError, match="needs Gaussian weights"):
        sf.nn.BayesianLinear(2, 2, noise=sf.noise.Laplace(), estimator="local")
    with pytest.raises(SettingError, match="symmetric"):
        sf.nn.BayesianLinear(2, 2, noise=sf.noise.Binomial(2), estimator="flipout")
    with pytest.raises(SettingError, match="not above min_scale"):
        sf.nn.BayesianLinear(2, 2, scale=1e-4)
    with pytest.raises(SettingError, match="no scale to start at"):
        sf.nn.BayesianLinear(2, 2, noise=sf.noise.Binomial(2), scale=0.1)
    conv: Any = nn.Conv2d(1, 1, 1)
    with pytest.raises(SettingError, match="expected a Linear"):
        sf.nn.BayesianLinear.from_module(conv)
    with pytest.raises(SettingError, match="expected a Conv1d"):
        sf.nn.StochasticConv1d.from_module(conv)
    lazy: Any = nn.LazyLinear(3)
    with pytest.raises(SettingError, match="has its weights"):
        sf.nn.BayesianLinear.from_module(lazy)
    with pytest.raises(SettingError, match="no location"):
        sf.nn.StochasticLinear.from_module(nn.Linear(2, 2), sf.noise.Binomial(2))


def test_bad_inputs() -> None:
    layer = sf.nn.BayesianConv2d(2, 3, 3)
    with pytest.raises(DataError, match="BayesianConv2d was made for 2 input channels"):
        layer(torch.zeros(4, 3, 5, 5))
    with pytest.raises(DataError, match="needs an input of"):
        layer(torch.zeros(3, 4))
    assert layer(torch.zeros(0, 2, 5, 5)).shape == (0, 3, 3, 3)
    assert layer(torch.zeros(2, 5, 5)).shape == (3, 3, 3)


def test_settings_can_be_read() -> None:
    text = str(sf.nn.BayesianLinear(2, 3))
    assert "in_features=2" in text and "Gaussian" in text and "auto" in text
    assert sf.nn.BayesianConv2d(1, 2, 3).config()["prior"] == "GaussianPrior(scale=1.0, mean=0.0)"
