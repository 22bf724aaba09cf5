"""Networks that cannot be followed, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

import sfumato as sf
from sfumato.compression import Wiring, masking, remove
from sfumato.errors import DataError, SettingError
from tests.compression.models import network


class Step(nn.Module):
    """Any function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def between(*layers: nn.Module, reads: int = 6) -> nn.Module:
    """A hidden layer of six neurons, something after it, and a classifier."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), *layers, nn.Linear(reads, 3)).eval()


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)
        self.two.weight = self.one.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.two(torch.relu(self.one(x)))))


class Looped(nn.Module):
    """The same layer twice: what it makes, it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.layer, self.head = nn.Linear(4, 5), nn.Linear(5, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.layer(torch.relu(self.layer(self.first(x))))))


X = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (
            between(nn.LayerNorm(6)),
            "without . of the 6 neurons of '0'.*looks at all neurons together",
        ),
        (between(Step(lambda x: x.softmax(1))), "without 1 of the 6 neurons of '0'"),
        (
            between(Step(lambda x: x.view(-1, 2, 3).flatten(1))),
            "does not run without 1 of the 6 neurons of '0'",
        ),
        (
            between(Step(lambda x: x.view(-1, 2, 3).transpose(1, 2).flatten(1))),
            "a number of groups may be written into it, as in a channel shuffle.*keep=.'0'",
        ),
        (
            between(Step(lambda x: x.view(-1, 2, x.shape[1] // 2).transpose(1, 2).flatten(1))),
            "does not run without 1 of the 6 neurons of '0'.*as in a channel shuffle.*keep=.'0'",
        ),
        (between(Step(lambda x: x.flip(1))), "changes their order, such as a channel shuffle"),
        (between(Step(lambda x: x[:, :4]), reads=4), "'0'"),
        (between(nn.LSTM(6, 6), Step(lambda x: x[0])), "'0'|torch-pruning cannot follow"),
        (nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), "no neuron of this network can be removed"),
        (Tied(), "'one' and 'two' share a parameter"),
        (between(Step(lambda x: torch.cat([x[:, :1], x[:, 1:].flip(1)], 1))), "keep=.'0'"),
        (between(weight_norm(nn.Linear(6, 6))), "the weight of '2' is computed from other"),
        (between(spectral_norm(nn.Linear(6, 6))), "the weight of '2' is computed from other"),
    ],
    ids=[
        "layer-norm",
        "softmax",
        "view",
        "shuffle",
        "shuffle-by-shape",
        "flip",
        "slice",
        "lstm",
        "no-hidden",
        "tied",
        "part-flipped",
        "weight-norm",
        "spectral-norm",
    ],
)
def test_the_error_names_the_layer(model: nn.Module, reason: str) -> None:
    with pytest.raises(SettingError, match=reason):
        Wiring(model, X)


def test_what_is_kept_whole_need_not_be_followed() -> None:
    model = nn.Sequential(
        nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 6), nn.LayerNorm(6), nn.ReLU(), nn.Linear(6, 2)
    )
    with pytest.raises(SettingError, match=r"keep=\['2'\]"):
        Wiring(model, X)
    assert Wiring(model, X, keep=["2"]).sizes == {"0": 5}
    assert Wiring(model, X, keep=["2*"]).sizes == {"0": 5}


@pytest.mark.parametrize("seed", range(10))
def test_a_group_is_not_tried_on_a_silent_neuron(seed: int) -> None:
    """Without a neuron that is zero a norm over all neurons is what it was."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(4, 6), nn.ReLU(), Step(lambda x: F.normalize(x, dim=1)), nn.Linear(6, 3)
    ).eval()
    with torch.no_grad():
        model[0].get_parameter("bias")[:3] = -100.0
    with pytest.raises(SettingError, match="looks at all neurons together"):
        Wiring(model, torch.randn(40, 4))


def test_a_layer_that_reads_itself() -> None:
    model = Looped()
    wiring = Wiring(model, X)
    (group,) = wiring.groups.values()
    smaller = remove(model, X, {group.name: [1]})
    with masking(model, X, {group.name: [1]}), torch.no_grad():
        torch.testing.assert_close(smaller(X), model(X), rtol=0, atol=1e-5)


def test_what_the_network_gives_out_is_not_removed() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.head = nn.Linear(4, 5), nn.Linear(5, 6), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            features = self.second(torch.relu(self.first(x)))
            return features, self.head(torch.relu(features))

    assert Wiring(Two(), X).sizes == {"first": 5}


def test_wrong_neurons() -> None:
    model, inputs = network("lenet")
    for neurons, reason in (
        ({"1": [0]}, r"no neurons can be removed from '1': 0, 3, 7 have some"),
        ({"0": [4]}, "has neurons 0 to 3, not"),
        ({"0": [-1]}, "has neurons 0 to 3, not"),
        ({"0": [0, 1, 2, 3]}, "the last neuron of '0' stays: it has 4"),
    ):
        with pytest.raises(SettingError, match=reason):
            remove(model, inputs, neurons)
    same = remove(model, inputs, {"0": [], "3": [1, 1]})
    assert Wiring(same, inputs).sizes == {"0": 4, "3": 5, "7": 9}


def test_wrong_records_and_weights() -> None:
    model, inputs = network("lenet")
    with pytest.raises(DataError, match="not \\[0, 1, 16, 16\\]"):
        Wiring(model, inputs[:0])
    with pytest.raises(DataError, match="NaN or infinity"):
        Wiring(model, inputs / 0)
    with pytest.raises(SettingError, match="cannot follow this network"):
        Wiring(model, torch.zeros(2, 3, 16, 16))
    with pytest.raises(SettingError, match="not str"):
        Wiring("lenet", inputs)  # type: ignore[arg-type]
    model.get_parameter("3.bias").data[0] = torch.nan
    with pytest.raises(DataError, match=r"3\.bias of the network holds NaN"):
        Wiring(model, inputs)


def test_a_bounded_layer_cannot_be_made_plain() -> None:
    model = nn.Sequential(sf.nn.StochasticLinear(4, 5, bound=(-1, 1)), nn.ReLU(), nn.Linear(5, 2))
    with pytest.raises(SettingError, match="0 clamps its location"):
        Wiring(model, X)
