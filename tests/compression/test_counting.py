"""Counts against the paper's own figures, and against counts made by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sfumato.compression import Count, count, stochastic
from sfumato.errors import SettingError
from sfumato.nn import BayesianLinear, StochasticLinear
from sfumato.train import lenet5, vgg16
from tests.compression.models import NETWORKS, network

DIGITS = (1, 28, 28)


def test_lenet_as_the_paper_counts_it() -> None:
    assert count(lenet5(), DIGITS) == Count(431_080, 2_293_000, 15_230)


def test_the_papers_pruned_lenet() -> None:
    # Spec 4, table 1: size 2.35 %, 0.061 MFLOP, memory 11.08 %.
    small, whole = count(lenet5(widths=(2, 7, 79)), DIGITS), count(lenet5(), DIGITS)
    assert small.parameters == 10_136
    assert round(100 * small.parameters / whole.parameters, 3) == 2.351
    assert small.multiplications == 60_838
    assert small.activations == 2 * 576 + 7 * 64 + 79 + 10
    assert round(100 * small.activations / whole.activations, 2) == 11.09


@pytest.mark.parametrize("name", NETWORKS)
def test_noise_costs_nothing(name: str) -> None:
    model, inputs = network(name)
    shape = inputs.shape[1:]
    assert count(stochastic(model), shape) == count(model, shape)


def test_words_are_whole_numbers() -> None:
    model = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(20, 3))
    assert count(model, (5,)).multiplications == 60


def test_an_input_given_by_name() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.head = nn.ConvTranspose1d(2, 3, 2), nn.Linear(15, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(input=self.up(input=x).flatten(1))

    assert count(Named(), (2, 4)).multiplications == 4 * 2 * 3 * 2 + 30


def test_batch_norm_is_not_counted() -> None:
    found = count(vgg16(width=0.0625), (3, 32, 32))
    kernels = [m for m in vgg16(width=0.0625).modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    biases = [0 if m.bias is None else m.bias.numel() for m in kernels]
    assert found.parameters == sum(m.weight.numel() for m in kernels) + sum(biases)


@pytest.mark.parametrize(
    ("layer", "shape", "multiplications", "activations"),
    [
        (nn.Linear(5, 3), (5,), 15, 3),
        (nn.Linear(5, 3, bias=False), (4, 5), 60, 12),
        (nn.Conv1d(4, 6, 3, groups=2), (4, 10), 8 * 6 * 2 * 3, 48),
        (nn.Conv2d(4, 4, 3, groups=4, stride=2), (4, 9, 9), 16 * 4 * 9, 64),
        (nn.Conv3d(2, 3, 2), (2, 4, 4, 4), 27 * 3 * 2 * 8, 81),
        (nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), (4, 5, 5), 25 * 4 * 3 * 9, 6 * 121),
    ],
)
def test_a_layer_alone(
    layer: nn.Module, shape: tuple[int, ...], multiplications: int, activations: int
) -> None:
    parameters = sum(p.numel() for p in layer.parameters())
    assert count(layer, shape) == Count(parameters, multiplications, activations)


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(torch.relu(self.layer(x)))


def test_a_shared_layer_costs_every_call_and_is_stored_once() -> None:
    assert count(Twice(), (4,)) == Count(20, 32, 8)


def test_modes_and_random_state_are_left_alone() -> None:
    model = nn.Sequential(StochasticLinear(4, 4), nn.Dropout(), nn.Linear(4, 2)).train()
    model[1].eval()
    before = torch.get_rng_state()
    count(model, (4,))
    assert model.training and not model[1].training
    assert torch.equal(before, torch.get_rng_state())


def test_what_cannot_be_counted() -> None:
    with pytest.raises(SettingError, match="does not take a record of shape \\[3, 8, 8\\]"):
        count(lenet5(), (3, 8, 8))
    with pytest.raises(SettingError, match=r"0, LSTM, cannot be counted"):
        count(nn.Sequential(nn.LSTM(3, 3)), (2, 3))
    with pytest.raises(SettingError, match="BayesianLinear, cannot be counted"):
        count(BayesianLinear(3, 3), (3,))
    with pytest.raises(SettingError, match="not str"):
        count("lenet", (3,))  # type: ignore[arg-type]
