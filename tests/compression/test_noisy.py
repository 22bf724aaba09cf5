"""The SE-SNN version of a network."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.compression import stochastic
from sfumato.errors import SettingError
from sfumato.nn import StochasticConv2d, StochasticLinear
from sfumato.train import lenet5
from tests.compression.models import NETWORKS, Residual, network

LAST = {"residual": "head", "dense": "head", "reused": "head"}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_but_the_classifier_is_stochastic(name: str) -> None:
    model, _ = network(name)
    kernels = [
        n for n, m in model.named_modules() if isinstance(m, (nn.Linear, nn.modules.conv._ConvNd))
    ]
    made = dict(stochastic(model).named_modules())
    plain = [n for n in kernels if not hasattr(made[n], "noise")]
    assert plain == [LAST.get(name, kernels[-1])]


def test_only_the_layers_that_are_named() -> None:
    made = stochastic(lenet5(), ["0", "7"])
    kinds = [type(layer).__name__ for layer in made]  # type: ignore[union-attr]
    assert kinds.count("StochasticConv2d") == 1 and kinds.count("StochasticLinear") == 1
    assert isinstance(stochastic(Residual(), ["*er"]).get_submodule("wider"), StochasticConv2d)


def test_the_scale_has_a_kernel_of_its_own_that_starts_as_torch_does() -> None:
    model = nn.Sequential(nn.Linear(400, 300), nn.ReLU(), nn.Linear(300, 2))
    layer = stochastic(model)[0]  # type: ignore[index]
    assert isinstance(layer, StochasticLinear)
    trained = model.get_parameter("0.weight")
    assert torch.equal(layer.weight[:300], trained)
    scale = layer.weight[300:].detach()
    # uniform in ±1/√400: all 120,000 numbers below, and one in the outer thousandth on each side
    # is missing with a probability of (1 - 0.0005)^120000 < 1e-26
    assert 0.999 / 20 < float(scale.max()) <= 1 / 20 and -1 / 20 <= float(scale.min()) < -0.999 / 20
    with sf.record(layer) as rec:
        layer(torch.randn(50, 400))
    sigma = rec.log_scales["StochasticLinear"].exp()
    assert float(sigma.detach().std()) > 0.01  # depends on the record


def test_a_layer_without_bias_stays_without() -> None:
    model = stochastic(Residual())
    assert model.get_submodule("stem").bias is None
    assert model.get_submodule("second").bias is not None


class Branches(nn.Module):
    """Goes another way for other records, so that torch.fx cannot follow it."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(3, 3)
        self.two = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.one(x)) if float(x.sum()) > 0 else self.two(x)


def test_what_cannot_be_made_stochastic() -> None:
    with pytest.raises(SettingError, match=r"torch\.fx cannot trace this network"):
        stochastic(Branches())
    assert isinstance(stochastic(Branches(), ["one"]).get_submodule("one"), StochasticLinear)
    with pytest.raises(SettingError, match="no hidden"):
        stochastic(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)))
    with pytest.raises(SettingError, match="nowhere"):
        stochastic(lenet5(), ["nowhere"])
    with pytest.raises(SettingError, match="a ReLU cannot be made stochastic"):
        stochastic(lenet5(), ["1"])
