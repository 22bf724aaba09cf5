"""The collapsed network is the plain network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import sfumato as sf
from sfumato.compression import collapse, count, stochastic
from sfumato.errors import SettingError
from sfumato.nn import AdditiveNoise, StochasticConv2d, StochasticLinear
from tests.compression.models import NETWORKS, network


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_the_network_that_was_made_stochastic(name: str) -> None:
    model, inputs = network(name)
    plain = collapse(stochastic(model))
    assert repr(plain) == repr(model)
    assert [type(m) for m in plain.modules()] == [type(m) for m in model.modules()]
    states = plain.state_dict(), model.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert torch.equal(plain(inputs), model(inputs))


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_the_mean_path_bit_by_bit_at_no_cost(name: str) -> None:
    model, inputs = network(name)
    noisy = stochastic(model)
    for parameter in noisy.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    plain = collapse(noisy)
    with sf.sampling(noisy, "mean"):
        mean = noisy(inputs)
    if name in ("grouped", "depthwise"):  # a grouped layer adds its bias apart: one rounding more
        torch.testing.assert_close(mean, plain(inputs), rtol=1e-5, atol=1e-6)
    else:
        assert torch.equal(mean, plain(inputs))
    assert not torch.equal(noisy(inputs), plain(inputs))
    assert count(plain, inputs.shape[1:]) == count(noisy, inputs.shape[1:])
    assert count(plain, inputs.shape[1:]) == count(model, inputs.shape[1:])


def test_settings_of_a_layer_are_kept() -> None:
    made = StochasticConv2d(
        4, 6, (3, 2), stride=(2, 1), padding=(1, 0), dilation=2, groups=2, bias=False,
        padding_mode="reflect",
    )  # fmt: skip
    made.weight.requires_grad_(False)
    plain = collapse(made.double().eval())
    assert repr(plain) == repr(
        nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), 2, 2, bias=False, padding_mode="reflect")
    )
    assert plain.weight.dtype == torch.float64
    assert not plain.weight.requires_grad and not plain.training
    same = collapse(StochasticConv2d(1, 1, 3, padding="same"))
    assert isinstance(same, nn.Conv2d) and same.padding == "same"


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_groups_cost_at_most_a_rounding(groups: int, bias: bool) -> None:
    layer = StochasticConv2d(4, 8, 3, groups=groups, bias=bias)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    plain, inputs = collapse(layer), torch.randn(16, 4, 9, 9)
    with sf.sampling(layer, "mean"):
        mean = layer(inputs)
    found = plain(inputs)
    if groups == 1 or not bias:
        assert torch.equal(mean, found)
        return
    unbiased = found - plain.get_parameter("bias")[:, None, None]
    unit = torch.finfo(torch.float32).eps * torch.maximum(found.abs(), unbiased.abs())
    assert bool(((mean - found).abs() <= 2 * unit).all())


def test_a_layer_under_two_names_stays_one() -> None:
    layer = StochasticLinear(3, 3)
    plain = collapse(nn.Sequential(layer, nn.ReLU(), layer))
    assert plain[0] is plain[2]  # type: ignore[index]


def test_the_model_is_left_as_it_is() -> None:
    model = nn.Sequential(StochasticLinear(3, 3))
    weight = model.get_parameter("0.weight")
    torch.nn.init.zeros_(collapse(model).get_parameter("0.weight"))
    assert model.get_parameter("0.weight") is weight and bool(weight.any())


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (StochasticLinear(3, 2, bound=(-1, 1)), "clamps its location"),
        (StochasticLinear(3, 2, noise=sf.noise.Binomial(3)), "draws by"),
        (AdditiveNoise((3,)), "AdditiveNoise, whose mean path is no plain layer"),
    ],
)
def test_what_does_not_collapse(layer: nn.Module, reason: str) -> None:
    with pytest.raises(SettingError, match=reason):
        collapse(nn.Sequential(layer))
