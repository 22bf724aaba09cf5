"""`sf.sampling`: noise is switched by it alone, for a while, and put back."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.errors import SettingError
from sfumato.noise.source import SYSTEM, TORCH
from tests.nn.cases import CLASSES, NAMES, a_layer

names = pytest.mark.parametrize("name", NAMES)


class Guard(nn.Module):
    """Stands where an obfuscator does: its noise is never switched off."""

    always_samples = True

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


def random(layer: Any, *arguments: Any) -> bool:
    """Whether two calls differ."""
    return bool((layer(*arguments) != layer(*arguments)).any())


@names
def test_train_and_eval_change_nothing(name: str) -> None:
    layer, arguments = a_layer(name)
    for switched in (layer.eval(), layer.train()):
        assert random(switched, *arguments)
    outputs = []
    for switched in (layer.eval(), layer.train()):
        torch.manual_seed(1)
        outputs.append(switched(*arguments))
    assert torch.equal(*outputs)


@names
def test_the_mean_is_the_location(name: str) -> None:
    layer, arguments = a_layer(name)
    with sf.sampling(layer, "mean"):
        assert not random(layer, *arguments)
        torch.testing.assert_close(layer(*arguments), layer.params(*arguments)[0])
    assert random(layer, *arguments)


def test_the_mean_draws_nothing() -> None:
    layer, before = sf.nn.StochasticLinear(3, 2), torch.get_rng_state()
    with sf.sampling(layer, "mean"):
        layer(torch.zeros(1, 3))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("place", ["input", "output"])
def test_the_mean_of_a_mixture_is_that_of_its_shares(place: Any) -> None:
    layer, (x, _) = a_layer("ConditionalLinear")
    mixture = sf.nn.SoftSelection(CLASSES, (), place, "mixture")
    nn.init.normal_(mixture.logits)
    each = [layer.params(x, torch.full((4,), c))[0] for c in range(CLASSES)]
    expected = torch.einsum("c,cbo->bo", mixture(), torch.stack(each))
    with sf.sampling(layer, "mean"):
        torch.testing.assert_close(layer(x, mixture), expected)


def test_nested_contexts_restore() -> None:
    layer, x = sf.nn.StochasticLinear(3, 2), torch.ones(1, 3)
    network = nn.Sequential(layer)
    with sf.sampling(network, "mean"):
        with sf.sampling(layer, "sample", source="os"):
            assert random(network, x)
            assert layer.source is SYSTEM
        assert not random(network, x)
        assert layer.source is TORCH
        with sf.sampling(network, 4):
            assert random(network, x)
        assert not random(network, x)
    assert random(network, x)
    assert not {"mode", "source"} & set(vars(layer))


@pytest.mark.parametrize("mode", ["mean", 3])
def test_restored_after_an_exception(mode: Any) -> None:
    layer, x = sf.nn.StochasticLinear(3, 2), torch.ones(1, 3)
    before = dict(vars(layer))
    with pytest.raises(ZeroDivisionError), sf.sampling(layer, mode):
        raise ZeroDivisionError
    assert vars(layer) == before
    assert random(layer, x)


def test_a_layer_used_twice_is_restored() -> None:
    layer, x = sf.nn.StochasticLinear(3, 3), torch.ones(1, 3)
    network = nn.Sequential(layer, nn.ReLU(), layer, nn.Sequential(layer))
    with sf.sampling(network, "mean"):
        assert not random(network, x)
    assert not {"mode", "source"} & set(vars(layer))


def test_the_source_of_the_noise() -> None:
    layer, x = sf.nn.StochasticLinear(3, 2), torch.ones(1, 3)

    def seeded() -> Tensor:
        torch.manual_seed(0)
        return layer(x)

    assert torch.equal(seeded(), seeded())
    with sf.sampling(layer, source="os"):
        assert not torch.equal(seeded(), seeded())
    assert torch.equal(seeded(), seeded())


@pytest.mark.parametrize("wrong", ["median", "", 0, -3, True, False, 2.0, None])
def test_unknown_mode(wrong: Any) -> None:
    layer = sf.nn.StochasticLinear(3, 2)
    with pytest.raises(SettingError, match="use 'sample', 'mean' or a number of draws"):
        sf.sampling(layer, wrong).__enter__()
    assert layer.mode == "sample"


def test_unknown_source() -> None:
    with pytest.raises(SettingError, match="unknown source of randomness"):
        sf.sampling(sf.nn.StochasticLinear(3, 2), source="dice").__enter__()  # type: ignore[arg-type]


@names
def test_the_average_of_draws_has_the_shape_of_one(name: str) -> None:
    layer, arguments = a_layer(name)
    shape = layer(*arguments).shape
    with sf.sampling(layer, 5):
        h = layer(*arguments)
    assert h.shape == shape
    with sf.sampling(layer, 1):
        assert layer(*arguments).shape == shape


def test_draws_are_averaged_after_the_whole_network() -> None:
    """The mean of the outputs, not the output of the mean."""
    network = nn.Sequential(sf.nn.AdditiveNoise((1,)), nn.ReLU())
    nn.init.constant_(network[0].weight[1], 5.0)  # type: ignore[index]
    with sf.sampling(network, 10_000):
        assert network(torch.zeros(1, 1)).item() == pytest.approx(
            5 / (2 * torch.pi) ** 0.5, abs=0.2
        )


def test_draws_repeat_keyword_arguments_and_selections() -> None:
    layer, (x, c) = a_layer("ConditionalLinear")
    mean = layer.params(x, c)[0]
    with sf.sampling(layer, 4000):
        h = layer(x=x, selection=c)
    assert (h - mean).abs().max() < 0.5
    with sf.sampling(layer, 2):
        assert layer(x, sf.nn.SoftSelection(CLASSES)).shape == h.shape
        assert layer(x, torch.rand(4, CLASSES)).shape == h.shape
        assert layer(x, torch.rand(1, CLASSES)).shape == h.shape


def test_draws_need_a_tensor_in_and_out() -> None:
    class Pair(nn.Module):
        def forward(self, x: Tensor | None = None) -> tuple[Tensor | None, None]:
            return x, None

    with sf.sampling(Pair(), 2) as pair, pytest.raises(SettingError, match="has no tensor"):
        pair()
    with sf.sampling(Pair(), 2) as pair, pytest.raises(SettingError, match="only a tensor"):
        pair(torch.zeros(2))


def test_an_obfuscator_goes_on_sampling() -> None:
    inner, outer, x = sf.nn.AdditiveNoise((3,)), sf.nn.AdditiveNoise((3,)), torch.zeros(2, 3)
    network = nn.Sequential(Guard(inner), outer)
    with sf.sampling(network, "mean", source="os"):
        assert random(inner, x)
        assert not random(outer, x)
        assert inner.source is outer.source is SYSTEM
    assert inner.source is TORCH


@pytest.mark.parametrize("mode", ["mean", 4])
def test_neither_the_mean_nor_an_average_of_an_obfuscator_is_to_be_had(mode: Any) -> None:
    guard = Guard(sf.nn.AdditiveNoise((3,)))
    with pytest.raises(SettingError, match="an obfuscator never passes on the mean"):
        sf.sampling(guard, mode).__enter__()


def test_draws_of_a_network_that_takes_time_first() -> None:
    """Repeating the first axis would repeat steps of time."""
    network = torch.nn.Sequential(torch.nn.LSTM(3, 4), First(), sf.nn.AdditiveNoise((2, 4)))
    x = torch.randn(5, 2, 3)
    with sf.sampling(network, "mean"):
        mean = network(x)
    with torch.no_grad():
        network[2].weight[1] = -10.0  # softplus(-10) + min_scale: hardly any noise
    with sf.sampling(network, 3):
        torch.testing.assert_close(network(x), mean, rtol=0, atol=0.02)


class First(torch.nn.Module):
    def forward(self, pair: tuple[Tensor, Any]) -> Tensor:
        return pair[0]
