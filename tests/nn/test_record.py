"""`sf.record`: what each layer emitted, and nothing kept on the layer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import sfumato as sf
from sfumato.noise import Laplace
from tests.nn.cases import CLASSES, NAMES, a_layer


@pytest.mark.parametrize("name", NAMES)
def test_what_a_layer_emitted(name: str) -> None:
    layer, arguments = a_layer(name)
    with sf.record(layer) as rec:
        h = layer(*arguments)
    location, scale = layer.params(*arguments)
    assert list(rec.params) == list(rec.samples) == [name]
    torch.testing.assert_close(rec.params[name], (location, scale))
    torch.testing.assert_close(rec.log_scales[name], scale.log())
    assert torch.equal(rec.samples[name], h)
    torch.testing.assert_close(rec.distributions[name].mean, location)


def test_names_are_those_of_the_model() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = sf.nn.StochasticLinear(4, 3)
            self.blocks = nn.ModuleList([sf.nn.AdditiveNoise((3,), noise=Laplace()), nn.ReLU()])
            self.unused = sf.nn.StochasticLinear(1, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.blocks[1](self.blocks[0](self.first(x)))

    network = Network()
    with sf.record(network) as rec:
        network(torch.randn(2, 4))
    assert set(rec.samples) == {"first", "blocks.0"}
    assert isinstance(rec.distributions["blocks.0"], torch.distributions.Laplace)


def test_several_calls_are_concatenated() -> None:
    layer = sf.nn.StochasticLinear(4, 3)
    x, y = torch.randn(2, 4), torch.randn(5, 4)
    with sf.record(layer) as rec:
        both = torch.cat([layer(x), layer(y)])
    assert torch.equal(rec.samples["StochasticLinear"], both)
    assert rec.log_scales["StochasticLinear"].shape == (7, 3)
    assert [p.shape for p in rec.params["StochasticLinear"]] == [(7, 3), (7, 3)]


def test_without_a_call_it_is_empty() -> None:
    with sf.record(sf.nn.StochasticLinear(4, 3)) as rec:
        pass
    assert rec.params == rec.samples == rec.log_scales == rec.distributions == {}


def test_gradients_reach_the_kernels() -> None:
    layer = sf.nn.StochasticLinear(4, 3)
    with sf.record(layer) as rec:
        layer(torch.randn(2, 4))
    rec.log_scales["StochasticLinear"].sum().backward()
    assert layer.weight.grad is not None
    assert not layer.weight.grad[:3].any()
    assert layer.weight.grad[3:].any()


def test_nothing_stays_on_the_layer() -> None:
    layer, x = sf.nn.StochasticLinear(4, 3), torch.randn(2, 4)
    before = dict(vars(layer))
    with sf.record(layer) as rec:
        layer(x)
    layer(x)
    assert vars(layer) == before
    assert rec.samples["StochasticLinear"].shape == (2, 3)


def test_nested_recordings_see_the_same_calls() -> None:
    layer, x = sf.nn.StochasticLinear(4, 3), torch.randn(2, 4)
    network = nn.Sequential(layer)
    with sf.record(network) as outer:
        layer(x)
        with sf.record(layer) as inner:
            h = layer(x)
        layer(x)
    assert torch.equal(inner.samples["StochasticLinear"], h)
    assert torch.equal(outer.samples["0"][2:4], h)
    assert len(outer.samples["0"]) == 6
    assert "_observers" not in vars(layer)


def test_restored_after_an_exception() -> None:
    layer = sf.nn.StochasticLinear(4, 3)
    with pytest.raises(ZeroDivisionError), sf.record(layer):
        raise ZeroDivisionError
    assert "_observers" not in vars(layer)


def test_the_mean_is_recorded_too() -> None:
    layer, x = sf.nn.StochasticLinear(4, 3), torch.randn(2, 4)
    with sf.sampling(layer, "mean"), sf.record(layer) as rec:
        h = layer(x)
    assert torch.equal(rec.samples["StochasticLinear"], h)


def test_each_draw_is_recorded() -> None:
    layer, (x, c) = a_layer("ConditionalLinear")
    with sf.sampling(layer, 6), sf.record(layer) as rec:
        h = layer(x, c)
    draws = rec.samples["ConditionalLinear"]
    assert draws.shape == (6 * len(x), 3)
    torch.testing.assert_close(draws.unflatten(0, (6, -1)).mean(0), h)
    assert CLASSES == 3
