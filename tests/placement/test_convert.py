"""`sf.convert` keeps what a model has learned: at zero noise it is the same function."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.errors import SettingError
from sfumato.nn.base import SamplingModule
from tests.placement.models import (
    CONVOLUTIONS,
    MODELS,
    TRANSPOSED,
    converted_to,
    encoder,
    furthest,
    mean_of,
    picture_for,
    resnet,
    tagger,
)

# torch's own remark, once per process, about the shortcut of its encoder
pytestmark = pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")

KINDS = ["stochastic", "bayesian"]
WITHIN = {torch.float32: 1e-5, torch.float64: 1e-10}


def layers(model: nn.Module) -> dict[str, SamplingModule]:
    return {n: m for n, m in model.named_modules() if isinstance(m, SamplingModule)}


@pytest.mark.parametrize("dtype", WITHIN)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MODELS)
def test_the_mean_is_the_model(name: str, kind: str, dtype: torch.dtype) -> None:
    model, args = MODELS[name]()
    model, args = model.to(dtype), converted_to(dtype, args)
    noisy = sf.convert(model, {"*": kind})
    assert layers(noisy) and not layers(model)
    for train in (False, True):
        for network in (model, noisy):
            network.train(train)
        assert furthest(mean_of(noisy, *args), model(*args)) <= WITHIN[dtype]
    assert furthest(noisy(*args), model(*args)) > 1e-3
    assert {p.dtype for p in noisy.parameters()} == {dtype}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MODELS)
def test_samples_tend_to_the_model_as_the_scale_falls(name: str, kind: str) -> None:
    model, args = MODELS[name]()
    model, args = model.double(), converted_to(torch.float64, args)
    law = sf.noise.Gaussian(min_scale=1e-12)
    away = [
        furthest(sf.convert(model, {"*": kind}, noise=law, scale=scale)(*args), model(*args))
        for scale in (1e-2, 1e-5, 2e-12)
    ]
    assert away[0] > 10 * away[1] > 100 * away[2]
    assert away[2] < 1e-8


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MODELS)
def test_without_gradients(name: str, kind: str) -> None:
    """torch's fast paths for inference read weights past the layers that hold them."""
    model, args = MODELS[name]()
    noisy = sf.convert(model, {"*": kind})
    with torch.inference_mode():
        assert furthest(mean_of(noisy, *args), model(*args)) <= 1e-5
        assert furthest(noisy(*args), model(*args)) > 1e-3
        assert furthest(noisy(*args), noisy(*args)) > 1e-3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spec", ["encoder.layers.*", "encoder.layers.0", "encoder.layers.1"])
def test_an_encoder_with_its_shortcut_for_padding(spec: str, kind: str) -> None:
    model, args = encoder(nested=True)
    noisy = sf.convert(model, {spec: kind})
    for train in (False, True):
        for network in (model, noisy):
            network.train(train)
        with torch.no_grad():
            assert furthest(mean_of(noisy, *args), model(*args)) <= 1e-5
            assert furthest(noisy(*args), model(*args)) > 1e-3


def test_a_whole_encoder_keeps_its_zeros_as_a_bayesian() -> None:
    model, (tokens, padding) = encoder(nested=True)
    trunk: Any = model.get_submodule("encoder")
    noisy = sf.convert(trunk, {"": "bayesian"})
    h = model.get_submodule("embedding")(tokens)
    with torch.no_grad():
        plain = trunk(h, src_key_padding_mask=padding)
        with sf.sampling(noisy, "mean"):
            assert torch.equal(noisy(h, src_key_padding_mask=padding), plain)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name: str, kind: str) -> None:
    conv: Any = CONVOLUTIONS[name]()
    x = picture_for(conv)
    noisy = sf.convert(conv, {"": kind})
    assert type(noisy).__name__ == f"{kind.capitalize()}Conv{x.dim() - 2}d"
    with torch.no_grad():
        assert furthest(mean_of(noisy, x), conv(x)) <= 1e-5
    assert noisy(x).shape == conv(x).shape
    strides = conv.weight.stride(), noisy.get_parameter("weight").stride()
    assert strides[0] == strides[1]


@pytest.mark.parametrize("name", TRANSPOSED)
def test_transposed_convolutions(name: str) -> None:
    conv = TRANSPOSED[name]()
    x = picture_for(conv)
    noisy = sf.convert(conv, {"": "bayesian"})
    assert furthest(mean_of(noisy, x), conv(x)) <= 1e-5
    assert noisy(x).shape == conv(x).shape


LEAVES: dict[str, tuple[Any, Any]] = {
    "Linear": (lambda: nn.Linear(4, 3), lambda: torch.randn(5, 4)),
    "Linear, no bias": (lambda: nn.Linear(4, 3, bias=False), lambda: torch.randn(5, 2, 4)),
    "Conv2d": (lambda: nn.Conv2d(4, 6, 3), lambda: torch.randn(2, 4, 5, 5)),
    "LSTM": (lambda: nn.LSTM(4, 3), lambda: torch.randn(5, 2, 4)),
    "Embedding": (lambda: nn.Embedding(7, 4), lambda: torch.tensor([[0, 6]])),
    "LayerNorm": (lambda: nn.LayerNorm(4), lambda: torch.randn(5, 4)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(4), lambda: torch.randn(5, 4)),
    "RNN": (lambda: nn.RNN(4, 3, 2), lambda: torch.randn(5, 2, 4)),
    "LSTMCell": (lambda: nn.LSTMCell(4, 3), lambda: torch.randn(5, 4)),
    "PReLU": (lambda: nn.PReLU(), lambda: torch.randn(5, 4)),
}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", LEAVES)
def test_a_layer_alone_to_the_last_bit(name: str, dtype: torch.dtype) -> None:
    layer, x = (make() for make in LEAVES[name])
    layer, (x,) = layer.to(dtype).eval(), converted_to(dtype, (x,))
    for kind in KINDS if sf.check(layer, {"*": "stochastic"}, noise=LAW) == [] else ["bayesian"]:
        for key in ("", "*"):
            noisy = sf.convert(layer, {key: kind}, noise=LAW)
            assert isinstance(noisy, SamplingModule)
            assert furthest(mean_of(noisy, x), layer(x)) == 0
            assert furthest(noisy(x), layer(x)) > 0


LAW = sf.noise.Laplace(min_scale=0.01)


def test_the_model_is_left_as_it_is() -> None:
    model, _ = resnet()
    modules, before = list(model.modules()), {k: v.clone() for k, v in model.state_dict().items()}
    generator = torch.get_rng_state()
    sf.check(model, {"*": "stochastic"})
    assert torch.equal(torch.get_rng_state(), generator)
    noisy = sf.convert(model, {"layer*": "stochastic", "fc": "bayesian"})
    with torch.no_grad():
        for parameter in noisy.parameters():
            parameter.add_(1.0)
    assert list(model.modules()) == modules
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    ids = {id(t) for t in [*model.parameters(), *model.buffers()]}
    assert ids.isdisjoint(id(t) for t in [*noisy.parameters(), *noisy.buffers()])


def test_what_keys_pick() -> None:
    model, _ = resnet()
    spec: dict[str, Any] = {
        "layer*": "stochastic",
        "layer3.*": "bayesian",
        "layer4.*": None,
        "layer4.1.conv2": {"kind": "stochastic", "noise": LAW, "scale": 0.5},
        "*.downsample.*": None,
        "fc": lambda layer: nn.Sequential(layer, sf.nn.AdditiveNoise((5,))),
    }
    noisy = sf.convert(model, spec, scale=0.25)
    kinds = {name: type(layer).__name__ for name, layer in layers(noisy).items()}
    expected = {
        f"layer{stage}.{block}.conv{number}": "StochasticConv2d"
        for stage in (1, 2)
        for block in (0, 1)
        for number in (1, 2)
    }
    for block in (0, 1):
        for number in (1, 2):
            expected[f"layer3.{block}.conv{number}"] = "BayesianConv2d"
            expected[f"layer3.{block}.bn{number}"] = "Bayesian"
    expected |= {"layer4.1.conv2": "StochasticConv2d", "fc.1": "AdditiveNoise"}
    assert kinds == expected
    own: Any = noisy.get_submodule("layer4.1.conv2")
    usual: Any = noisy.get_submodule("layer1.0.conv1")
    assert (own.noise, usual.noise) == (LAW, sf.noise.Gaussian())
    for layer, scale in ((own, 0.5), (usual, 0.25)):
        found = layer.distribution(torch.randn(1, layer.in_channels, 4, 4)).scale
        torch.testing.assert_close(found, torch.full_like(found, scale))


def test_settings_reach_the_layers() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.LSTM(3, 2))
    prior = sf.nn.ScaleMixture()
    noisy: Any = sf.convert(model, {"*": "bayesian"}, noise=LAW, prior=prior, scale=0.5)
    for layer in noisy:
        assert (layer.noise, layer.prior) == (LAW, prior)
        for _, scale in layer.weight_params().values():
            torch.testing.assert_close(scale, torch.full_like(scale, 0.5))
    drawn: Any = sf.convert(model, {"0": "bayesian"}, estimator="flipout")
    assert drawn[0].estimator == "flipout"
    bound: Any = sf.convert(model, {"*": "stochastic"}, noise=LAW, bound=(0, 1), scale=0.5)
    assert [(layer.noise, layer.bound.high) for layer in bound] == [(LAW, 1)] * 2


def test_the_usual_scale_of_stochastic_layers() -> None:
    model, x = nn.Sequential(nn.Linear(4, 3), nn.GRU(3, 2)), torch.randn(5, 2, 4)
    for law, scale in ((sf.noise.Gaussian(), 0.1), (sf.noise.Gaussian(0.2), 0.4)):
        noisy = sf.convert(model, {"*": "stochastic"}, noise=law)
        with sf.record(noisy) as rec:
            noisy(x)
        for found in rec.log_scales.values():
            torch.testing.assert_close(found.exp(), torch.full_like(found, scale))


def test_what_is_new_is_trained() -> None:
    """Gradients reach the means and the scales of every converted layer, and KL adds up."""
    model, (x,) = tagger()
    noisy = sf.convert(model, {"rnn": "stochastic", "head": "bayesian"})
    output, _ = noisy(x)
    loss = output.square().mean() + sf.objectives.kl(noisy) / 100
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in noisy.parameters())
    head: Any = noisy.get_submodule("head")
    torch.testing.assert_close(sf.objectives.kl(noisy), head.kl())


def test_converted_twice() -> None:
    model, args = tagger()
    once = sf.convert(model, {"rnn": "stochastic"})
    twice = sf.convert(once, {"*": "bayesian"})
    assert {n: type(m).__name__ for n, m in layers(twice).items()} == {
        "rnn": "StochasticLSTM",
        "head": "BayesianLinear",
    }
    assert furthest(mean_of(twice, *args), model(*args)) <= 1e-5


def test_a_function_must_return_a_module() -> None:
    with pytest.raises(SettingError, match=r"the function of '0' must return a module, not None"):
        sf.convert(nn.Sequential(nn.Linear(2, 2)), {"0": lambda layer: None})  # type: ignore[dict-item, return-value]


def test_errors_come_before_any_change() -> None:
    model, _ = resnet()
    made: list[nn.Module] = []

    def note(layer: nn.Module) -> nn.Module:
        made.append(layer)
        return layer

    with pytest.raises(SettingError) as caught:
        sf.convert(model, {"conv1": note, "bn1": "stochastic", "layer5": "stochastic"})
    message = str(caught.value)
    assert "bn1 (BatchNorm2d) has no stochastic twin" in message
    assert "key 'layer5' matches no layer: did you mean 'layer4'" in message
    assert made == []


def test_functions_get_the_copy() -> None:
    model, (x,) = nn.Sequential(nn.Linear(2, 2), nn.ReLU()), (torch.randn(3, 2),)
    seen: list[nn.Module] = []

    def wrapped(layer: nn.Module) -> nn.Module:
        seen.append(layer)
        network = nn.Sequential(layer, nn.Linear(2, 4))
        return sf.nn.Stochastic(network)

    noisy: Any = sf.convert(model, {"0": wrapped, "1": lambda _: nn.Tanh()})
    assert seen == [noisy[0].network[0]] and seen[0] is not model[0]
    assert isinstance(noisy[1], nn.Tanh)
    result: Tensor = noisy(x)
    assert result.shape == (3, 2)
