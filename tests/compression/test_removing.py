"""The batch stage: neurons that never fire go at no loss."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.compression import (
    Wiring,
    collapse,
    masking,
    remove_silent,
    silent_neurons,
    stochastic,
)
from sfumato.errors import DataError
from tests.compression.models import network

# Biases, of layers or of the batch norms after them, by which neurons 0 and 2 never fire.
QUIET = {
    "lenet": {"0": "0", "3": "3", "7": "7"},
    "vgg": {"0": "1", "4": "5", "9": "10"},
    "residual": {"first": "first_norm"},
    "depthwise": {"6": "6"},
    "sequence": {"0": "0"},
    "reused": {"first": "first", "left": "left", "hidden": "hidden"},
}


def quietened(name: str, noisy: bool) -> tuple[nn.Module, Tensor]:
    model, inputs = network(name)
    for layer in QUIET[name].values():
        model.get_parameter(f"{layer}.bias").data[[0, 2]] = -50.0
    return (stochastic(model).eval() if noisy else model), inputs


def mean(model: nn.Module, inputs: Tensor) -> Tensor:
    with torch.no_grad():
        return collapse(model)(inputs)


@pytest.mark.parametrize("noisy", [False, True], ids=["plain", "stochastic"])
@pytest.mark.parametrize("name", QUIET)
def test_what_never_fires_is_found_and_goes_at_no_loss(name: str, noisy: bool) -> None:
    model, inputs = quietened(name, noisy)
    found = silent_neurons(model, inputs, batch_size=5)
    for layer in QUIET[name]:
        assert {0, 2} <= set(found[layer])
    smaller = remove_silent(model, inputs, batch_size=5)
    apart = (mean(smaller, inputs) - mean(model, inputs)).abs().max()
    assert float(apart) <= 1e-5
    sizes = Wiring(model, inputs).sizes
    expected = {group: size - len(found.get(group, [])) for group, size in sizes.items()}
    assert Wiring(smaller, inputs).sizes == expected
    assert not silent_neurons(smaller, inputs)


def test_noise_has_no_part_in_it() -> None:
    model, inputs = quietened("lenet", True)
    with sf.sampling(model, "sample"):
        assert silent_neurons(model, inputs) == silent_neurons(collapse(model), inputs)


def test_a_neuron_that_fires_once_stays() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    model.get_parameter("0.weight").data = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    torch.nn.init.zeros_(model.get_parameter("0.bias"))
    inputs = torch.tensor([[1.0, -1.0], [2.0, -1.0], [1.0, -2.0]])
    assert silent_neurons(model, inputs) == {"0": [1, 2]}
    late = torch.cat([inputs, torch.tensor([[-1.0, 0.5]])])
    assert silent_neurons(model, late, batch_size=2) == {}
    assert silent_neurons(model, late[:-1], keep=[]) == {"0": [1, 2]}


def test_the_first_neuron_of_a_layer_that_is_silent_as_a_whole_stays() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    torch.nn.init.constant_(model.get_parameter("2.bias"), -50.0)
    inputs = torch.rand(6, 2)
    assert silent_neurons(model, inputs)["2"] == [1, 2, 3]
    torch.testing.assert_close(remove_silent(model, inputs)(inputs), model(inputs))


def test_masking_ends_with_the_block() -> None:
    model, inputs = network("lenet")
    before = model(inputs)
    with masking(model, inputs, {"0": [0, 1]}) as same:
        assert same is model
        assert not torch.allclose(model(inputs), before, atol=1e-4)
    assert torch.equal(model(inputs), before)


def test_the_model_and_its_mode_are_left_alone() -> None:
    model, inputs = quietened("vgg", True)
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    smaller = remove_silent(model, inputs)
    assert model.training and smaller.training
    assert all(torch.equal(before[n], v) for n, v in model.state_dict().items())


def test_wrong_records() -> None:
    model, inputs = network("lenet")
    with pytest.raises(DataError, match="not \\[0, 1"):
        silent_neurons(model, inputs[:0])
    bad = inputs.clone()
    bad[-1, 0, 0, 0] = torch.inf
    with pytest.raises(DataError, match="NaN or infinity"):
        remove_silent(model, bad)
    model.get_parameter("0.weight").data.fill_(1e30)
    with pytest.raises(DataError, match="what the network gives is NaN or infinite"):
        silent_neurons(model, inputs * 1e20)
    late = torch.cat([inputs * 1e-30, inputs * 1e-30, inputs * 1e20])  # harmless at first
    with pytest.raises(DataError, match="reads is NaN or infinite"):
        silent_neurons(model, late)
