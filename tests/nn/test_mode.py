"""`sf.sampling`: noise is switched by it alone, for a while, and put back."""

from __future__ import annotations

import copy
import io
import threading
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.errors import DataError, SettingError
from sfumato.nn.mode import _calls
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


class Pair(nn.Module):
    """Gives its input and, once it is called with a tensor, nothing that could be averaged."""

    def forward(self, x: Tensor | None = None) -> Any:
        return torch.ones(3) if x is None else (x, None)


def test_only_a_tensor_is_averaged() -> None:
    with sf.sampling(Pair(), 2) as pair:
        assert torch.equal(pair(), torch.ones(3))
        with pytest.raises(SettingError, match="only a tensor can be averaged over draws"):
            pair(torch.zeros(2))
        assert torch.equal(pair(), torch.ones(3))


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


def test_no_average_of_a_network_with_an_obfuscator_inside() -> None:
    """It would be an average over releases of one record."""
    inner = sf.nn.AdditiveNoise((3,))
    network = nn.Sequential(nn.Identity(), nn.Sequential(Guard(inner)), nn.Identity())
    with pytest.raises(SettingError, match=r"nor an average .* average over the model behind it"):
        sf.sampling(network, 2).__enter__()
    assert "draws" not in vars(inner)
    with sf.sampling(network, 1):
        assert random(network, torch.zeros(2, 3))


def test_layers_know_that_they_are_averaged() -> None:
    layer = sf.nn.StochasticLinear(3, 2)
    with sf.sampling(nn.Sequential(layer), 4):
        assert layer.draws == 4
        with sf.sampling(layer, "mean"):
            assert layer.draws == 4
    assert layer.draws == 1 and "draws" not in vars(layer)


class First(nn.Module):
    def forward(self, pair: tuple[Tensor, Any]) -> Tensor:
        return pair[0]


def almost_certain(*shape: int) -> sf.nn.AdditiveNoise:
    """Noise with a standard deviation of about 0.001."""
    noise = sf.nn.AdditiveNoise(shape)
    with torch.no_grad():
        noise.weight[1] = -10.0
    return noise


@pytest.mark.parametrize("shape", [(5, 2, 3), (5, 3)], ids=["time first", "no batch"])
@pytest.mark.parametrize("batch_first", [True, False])
def test_draws_do_not_repeat_steps(shape: tuple[int, ...], batch_first: bool) -> None:
    network = nn.Sequential(nn.LSTM(3, 4, batch_first=batch_first), First())
    if len(shape) == 3:
        network.append(almost_certain(*shape[1:-1], 4))
    x = torch.randn(shape)
    with sf.sampling(network, "mean"):
        mean = network(x)
    with sf.sampling(network, 3):
        torch.testing.assert_close(network(x), mean, rtol=0, atol=0.02)


@pytest.mark.parametrize("batch", [3, 4])
def test_draws_leave_masks_alone(batch: int) -> None:
    """A causal mask of 4 steps, and as many records."""
    layer = sf.nn.StochasticTransformerEncoderLayer(
        8, 2, 16, dropout=0.0, batch_first=True, scale=0.002
    )
    mask = nn.Transformer.generate_square_subsequent_mask(4)
    x = torch.randn(batch, 4, 8)
    with sf.sampling(layer, "mean"):
        mean = layer(x, mask)
    with sf.sampling(layer, 5):
        torch.testing.assert_close(layer(x, mask), mean, rtol=0, atol=0.02)
        heads = mask.expand(2 * batch, 4, 4)
        torch.testing.assert_close(layer(x, heads), mean, rtol=0, atol=0.02)


@pytest.mark.parametrize("weights", [True, False])
def test_hooks_act_on_every_pass(weights: bool) -> None:
    layer = (sf.nn.BayesianLinear if weights else sf.nn.StochasticLinear)(4, 3)
    network, seen, doubled = nn.Sequential(layer), [], []
    network.register_forward_pre_hook(lambda _, args: (2 * args[0],))
    network.register_forward_pre_hook(lambda _, args: doubled.append(args[0]))
    network.register_forward_hook(lambda _, args, output: seen.append(output))
    network.register_forward_hook(lambda _, args, output: 0 * output + 100)
    x = torch.randn(2, 4)
    with sf.sampling(network, 4):
        assert torch.equal(network(x), torch.full((2, 3), 100.0))
    assert len(seen) == len(doubled) == 4
    assert all(torch.equal(given, 2 * x) for given in doubled)
    assert not torch.equal(seen[0], seen[1])


def sent(module: nn.Module) -> nn.Module:
    """As a process that is spawned would get it."""
    stream = io.BytesIO()
    torch.save(module, stream)
    stream.seek(0)
    return torch.load(stream, weights_only=False)


@pytest.mark.parametrize("way", [copy.deepcopy, sent])
def test_a_copy_made_inside_averages_itself(way: Any) -> None:
    network, x = nn.Sequential(sf.nn.BayesianLinear(3, 2)), torch.ones(1, 3)
    with sf.sampling(network, 4), torch.no_grad():
        twin = way(network)
        for parameter in twin.parameters():
            parameter.zero_()
        for raw in (twin[0].weight_raw, twin[0].bias_raw):
            raw.fill_(-50.0)
        assert twin(x).abs().max() < 0.02  # min_scale is left
        assert twin(x).ne(twin(x)).all()


def test_the_innermost_block_decides() -> None:
    calls: list[Any] = []
    layer, x = sf.nn.StochasticLinear(3, 2), torch.ones(1, 3)
    layer.register_forward_hook(lambda _, args, output: calls.append(output))

    def passes() -> int:
        calls.clear()
        layer(x)
        return len(calls)

    with sf.sampling(layer, 4):
        assert passes() == 4
        with sf.sampling(layer, 3):
            assert passes() == 3
        with sf.sampling(layer, 1):
            assert passes() == 1
        with sf.sampling(nn.Sequential(layer), 2) as around:
            calls.clear()
            around(x)
            assert len(calls) == 8
        assert passes() == 4
    assert passes() == 1
    assert not layer._forward_pre_hooks and len(layer._forward_hooks) == 1


def test_a_call_that_failed_leaves_nothing() -> None:
    layer, x = sf.nn.StochasticLinear(3, 2), torch.ones(1, 3)
    with sf.sampling(layer, 4):
        with pytest.raises(DataError):
            layer(torch.ones(1, 7))
        assert layer(x).shape == (1, 2)
        with pytest.raises(DataError):
            layer(torch.ones(1, 7))
    assert not _calls.given and not _calls.inner


def test_threads_do_not_disturb_each_other() -> None:
    """While one thread makes its passes, another's call is an average all the same."""
    layer, x, found = sf.nn.StochasticLinear(3, 2), torch.ones(1, 3), []
    count = threading.local()

    def tell(*_: Any) -> None:
        count.value = getattr(count, "value", 0) + 1

    def other() -> None:
        layer(x)
        found.append(count.value)

    def during(*_: Any) -> None:
        if threading.current_thread() is threading.main_thread():
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()

    layer.register_forward_hook(tell)
    layer.register_forward_hook(during)
    with sf.sampling(layer, 3):
        layer(x)
    assert found == [3, 3, 3]


def test_an_average_in_half_precision_is_summed_in_full() -> None:
    class One(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.ones_like(x)

    with sf.sampling(One(), 1000) as one:
        found = one(torch.zeros(2, dtype=torch.bfloat16))
    assert found.dtype == torch.bfloat16 and found.tolist() == [1.0, 1.0]


@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")
def test_averages_inside_a_compiled_network() -> None:
    inner = nn.Sequential(almost_certain(3))
    network, x = nn.Sequential(inner, nn.Tanh()), torch.randn(4, 3)
    with sf.sampling(inner, 3):
        torch.compiler.reset()
        graph = torch.compile(network, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(graph(x), x.tanh(), rtol=0, atol=0.02)
        assert random(graph, x)
