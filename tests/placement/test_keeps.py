"""Whatever stands on a layer is carried over to its twin: nothing is dropped without a word."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import sfumato as sf
from sfumato.noise import LocationScale
from tests.placement.models import MODELS, encoder, furthest, mean_of, tagger

KINDS = ["stochastic", "bayesian"]
# torch's own remark about projections
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")

RECURRENT = "input_size hidden_size num_layers bias batch_first dropout bidirectional"
CONVOLUTION = "in_channels out_channels kernel_size stride padding dilation groups padding_mode"
SETTINGS = {
    "Linear": (nn.Linear(4, 3), "in_features out_features"),
    "Conv2d": (
        nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 2), 2, padding_mode="circular"),
        f"{CONVOLUTION} output_padding transposed",
    ),
    "LSTM": (
        nn.LSTM(4, 3, 2, batch_first=True, dropout=0.25, bidirectional=True, proj_size=2),
        f"{RECURRENT} proj_size",
    ),
    "GRU": (nn.GRU(4, 3, 2, bias=False, dropout=0.5), RECURRENT),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SETTINGS)
def test_settings_can_still_be_read(name: str, kind: str) -> None:
    layer, attributes = SETTINGS[name]
    noisy = sf.convert(layer, {"": kind})
    assert noisy is not layer
    for attribute in attributes.split():
        assert getattr(noisy, attribute) == getattr(layer, attribute), attribute


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MODELS)
def test_the_device(name: str, kind: str) -> None:
    model = MODELS[name]()[0].to("meta")
    if kind == "bayesian":  # of other layers it needs the values
        model = nn.Sequential(*(m for m in model.modules() if type(m) in (nn.Linear, nn.Conv2d)))
    noisy = sf.convert(model, {"*": kind})
    sizes = [sum(p.numel() for p in network.parameters()) for network in (noisy, model)]
    assert sizes[0] > sizes[1]
    assert {t.device.type for t in [*noisy.parameters(), *noisy.buffers()]} == {"meta"}


@pytest.mark.parametrize("kind", KINDS)
def test_frozen_parameters_stay_frozen(kind: str) -> None:
    model, _ = tagger()
    model.get_parameter("head.weight").requires_grad_(False)
    model.get_parameter("rnn.weight_hh_l0").requires_grad_(False)
    noisy = sf.convert(model, {"*": kind})
    inner = "trunk" if kind == "stochastic" else "module"
    frozen = {name for name, p in noisy.named_parameters() if not p.requires_grad}
    raws = {"head.weight_raw", "rnn.raws.weight_hh_l0"} if kind == "bayesian" else set()
    assert frozen == {"head.weight", f"rnn.{inner}.weight_hh_l0"} | raws


@pytest.mark.parametrize("kind", KINDS)
def test_training_flags(kind: str) -> None:
    model, _ = encoder()
    model.train()
    for name in ("encoder.layers.0", "encoder.layers.1.self_attn", "head"):
        model.get_submodule(name).training = False
    noisy = sf.convert(model, {"*": kind})
    for name, module in noisy.named_modules():
        plain = re.sub(r"\.(trunk|module|raws)(?=\.|$)|(?<=\.\d)\.head$", "", name)
        assert module.training == model.get_submodule(plain).training, name


class Twice(nn.Module):
    """One layer at two places, and two layers with one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.again = nn.Sequential(nn.Tanh(), self.first)
        self.one = nn.Linear(4, 4)
        self.other = nn.Linear(4, 4)
        self.other.weight = self.one.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.other(self.one(self.again(self.first(x))))


def test_a_layer_at_two_places() -> None:
    model, x = Twice(), torch.randn(3, 4)
    for key in ("first", "again.1"):
        for kind in KINDS:
            noisy: Any = sf.convert(model, {key: kind})
            assert noisy.first is noisy.again[1]
            assert furthest(mean_of(noisy, x), model(x)) <= 1e-5


def test_shared_weights_of_stochastic_layers() -> None:
    model, x = Twice(), torch.randn(3, 4)
    noisy: Any = sf.convert(model, {"one": "stochastic", "other": "stochastic"})
    assert noisy.one is not noisy.other
    assert noisy.one.weight is noisy.other.weight
    assert noisy.one.bias is not noisy.other.bias
    assert furthest(mean_of(noisy, x), model(x)) <= 1e-5
    assert len(list(noisy.parameters())) == len(list(model.parameters()))


def test_shared_weights_of_one_bayesian_layer() -> None:
    """The mean is shared with the plain layer, and learns from both."""
    noisy: Any = sf.convert(Twice(), {"one": "bayesian"})
    assert noisy.one.weight is noisy.other.weight
    noisy(torch.randn(3, 4)).square().sum().backward()
    assert noisy.one.weight.grad.abs().sum() > 0


def test_weights_shared_inside_one_layer() -> None:
    model, x = Twice(), torch.randn(3, 4)
    noisy: Any = sf.convert(model, {"": "bayesian"})
    assert noisy.module.one.weight is noisy.module.other.weight
    assert furthest(mean_of(noisy, x), model(x)) == 0
    # One draw serves both: a Gaussian with one weight, its KL counted once.
    assert "one.weight" in noisy.names and "other.weight" not in noisy.names


def test_recurrent_weights_stay_shared_with_what_is_left() -> None:
    model: Any = nn.ModuleList([nn.LSTM(3, 3), nn.LSTM(3, 3)])
    model[1].weight_hh_l0 = model[0].weight_hh_l0
    noisy: Any = sf.convert(model, {"0": "stochastic"})
    assert noisy[0].trunk.weight_hh_l0 is noisy[1].weight_hh_l0
    assert noisy[0].trunk.weight_hh_l0 is not model[0].weight_hh_l0


HOOKED = [nn.Linear(4, 3), nn.Conv1d(4, 3, 1), nn.GRU(4, 3), nn.LayerNorm(4)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layer", HOOKED, ids=lambda layer: type(layer).__name__)
def test_hooks_fire_once(layer: nn.Module, kind: str) -> None:
    if isinstance(layer, nn.LayerNorm) and kind == "stochastic":
        kind = "bayesian"
    model, calls = nn.Sequential(layer), []
    layer.register_forward_pre_hook(lambda *_: calls.append("before"))
    layer.register_forward_hook(lambda *_, **__: calls.append("after"), with_kwargs=True)
    layer.register_full_backward_pre_hook(lambda *_: calls.append("back"))
    layer.register_full_backward_hook(lambda *_: calls.append("through"))
    x = torch.randn(4, 4, 4, requires_grad=True)
    for network in (model, sf.convert(model, {"0": kind})):
        calls.clear()
        output = network(x)
        (output if isinstance(output, Tensor) else output[0]).sum().backward()
        assert calls == ["before", "after", "back", "through"]


class Watching(nn.Module):
    """A model that keeps what one of its layers passed on, by a hook bound to itself."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = nn.Linear(4, 3), nn.Linear(3, 2)
        self.inner.register_forward_hook(self.keep)
        self.kept: Tensor | None = None

    def keep(self, layer: nn.Module, args: Any, output: Tensor) -> None:
        self.kept = output.detach()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.inner(x))


@pytest.mark.parametrize("kind", KINDS)
def test_a_hook_bound_to_the_model_is_bound_to_the_copy(kind: str) -> None:
    model = Watching()
    noisy: Any = sf.convert(model, {"*": kind})
    with sf.sampling(noisy.head, "mean"):
        output = noisy(torch.randn(5, 4))
        assert torch.equal(output, noisy.head(noisy.kept))  # the sample that was passed on
    assert model.kept is None


@pytest.mark.parametrize("kind", KINDS)
def test_buffers_and_attributes_put_on_a_layer(kind: str) -> None:
    layer: Any = nn.Linear(4, 3)
    layer.register_buffer("count", torch.tensor(7))
    layer.register_buffer("cache", torch.ones(2), persistent=False)
    layer.tag = "stem"
    layer.helper = nn.Dropout(0.25)
    noisy: Any = sf.convert(nn.Sequential(layer), {"0": kind})[0]  # type: ignore[index]
    assert (int(noisy.count), noisy.tag, noisy.helper.p) == (7, "stem", 0.25)
    assert noisy.count is not layer.count
    assert "count" in noisy.state_dict() and "cache" not in noisy.state_dict()


def test_parametrizations_stay_under_a_bayesian_layer() -> None:
    model = nn.Sequential(
        parametrizations.weight_norm(nn.Linear(4, 4)),
        nn.Tanh(),
        parametrizations.spectral_norm(nn.Conv1d(4, 3, 1)),
    ).eval()
    x = torch.randn(2, 4, 4)
    noisy: Any = sf.convert(model, {"*": "bayesian"})
    assert furthest(mean_of(noisy, x), model(x)) <= 1e-6
    assert furthest(noisy(x), model(x)) > 1e-3
    assert set(noisy[0].names) == {
        "bias",
        "parametrizations.weight.original0",
        "parametrizations.weight.original1",
    }


def test_parametrizations_inside_a_stochastic_layer() -> None:
    layer: Any = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0)
    parametrizations.weight_norm(layer.linear1)
    noisy: Any = sf.convert(layer, {"": "stochastic"})
    x = torch.randn(5, 2, 8)
    assert furthest(mean_of(noisy, x), layer(x)) <= 1e-5
    assert "trunk.linear1.parametrizations.weight.original0" in noisy.state_dict()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MODELS)
def test_state_dicts(name: str, kind: str) -> None:
    """A changed model loads its own state and that of the plain model."""
    (trained, args), (other, _) = MODELS[name](), MODELS[name]()
    noisy, again = (sf.convert(m, {"*": kind}) for m in (trained, other))
    again.load_state_dict(noisy.state_dict())
    assert furthest(mean_of(again, *args), trained(*args)) <= 1e-5
    fresh = sf.convert(other, {"*": kind})
    fresh.load_state_dict(trained.state_dict())
    assert furthest(mean_of(fresh, *args), trained(*args)) <= 1e-5


def test_a_frozen_layer_without_bias_gets_one_that_learns() -> None:
    layer = nn.Linear(4, 3, bias=False).requires_grad_(False)
    noisy: Any = sf.convert(layer, {"": "stochastic"})
    assert not noisy.weight.requires_grad and noisy.bias.requires_grad
    assert isinstance(noisy.noise, LocationScale)
    assert noisy.bias[:3].abs().max() == 0
