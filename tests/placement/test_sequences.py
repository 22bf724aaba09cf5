"""The three embodiments on sequences `[B, T, F]` and vectors `[B, F]`."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

import sfumato as sf
from sfumato.errors import DataError
from sfumato.placement import concatenate

F, STEPS = 4, 5
PLACES = ["before", "merge_then_noise", "noise_then_merge"]
places = pytest.mark.parametrize("place", PLACES)


def sequence_noise() -> dict[str, Any]:
    """One S_L of every kind, each `[B, T, F]` -> `[B, T, F]`."""
    return {
        "LSTM": sf.nn.StochasticLSTM(F, F, batch_first=True),
        "LSTM, two ways": sf.nn.StochasticLSTM(F, F // 2, 2, batch_first=True, bidirectional=True),
        "GRU": sf.nn.StochasticGRU(F, F, batch_first=True),
        "transformer": sf.nn.StochasticTransformerEncoderLayer(F, 2, 8, 0.0, batch_first=True),
        "wrapped": sf.nn.Stochastic(nn.Linear(F, 2 * F), axis=-1),
        "linear": sf.nn.StochasticLinear(F, F),
        "additive": sf.nn.AdditiveNoise((STEPS, F)),
    }


def vector_noise() -> dict[str, Any]:
    """One S_L of every kind, each `[B, F]` -> `[B, F]`."""
    return {
        "wrapped": sf.nn.Stochastic(nn.Sequential(nn.Linear(F, 9), nn.Linear(9, 2 * F))),
        "linear": sf.nn.StochasticLinear(F, F),
        "svm": sf.nn.StochasticSVM(F, F, "rbf", num_features=16),
        "additive": sf.nn.AdditiveNoise((F,)),
    }


def parts(steps: int) -> tuple[nn.Module, nn.Module, nn.Module, Tensor]:
    """N₁, N₂, L and records of 3 features; N₂ ends in 2 numbers for each record."""
    shape = (2, steps, 3) if steps else (2, 3)
    second = nn.Sequential(nn.Tanh(), nn.Flatten(), nn.Linear(F * max(steps, 1), 2))
    return nn.Linear(3, F), second, nn.Linear(3, F), torch.randn(shape)


def placed(place: str, first: Any, second: Any, noise: Any, layers: Any) -> nn.Module:
    if place == "before":
        return sf.placement.before(second, noise, layers)
    return getattr(sf.placement, place)(first, second, noise, layers)


def chain(place: str, first: Any, second: Any, noise: Any, layers: Any, x: Tensor) -> Tensor:
    """The embodiment's formula, call by call; `noise` gives a tensor."""
    if place == "before":
        return second(noise(layers(x)))
    if place == "merge_then_noise":
        return second(noise(first(x) + layers(x)))
    return second(first(x) + noise(layers(x)))


def sample_of(noise: Any, *inputs: Any) -> Tensor:
    output = noise(*inputs)
    return output[0] if isinstance(output, tuple) else output


def once(call: Any) -> Tensor:
    torch.manual_seed(7)
    return call()


CASES = [(name, STEPS) for name in sequence_noise()] + [(name, 0) for name in vector_noise()]


@places
@pytest.mark.parametrize(("name", "steps"), CASES)
def test_the_formula(place: str, name: str, steps: int) -> None:
    first, second, layers, x = parts(steps)
    noise = (sequence_noise() if steps else vector_noise())[name]
    network = placed(place, first, second, noise, layers)
    alone = partial(sample_of, noise)
    assert network(x).shape == (2, 2)
    found, wanted = (
        once(lambda call=call: call(x))
        for call in (network, lambda x: chain(place, first, second, alone, layers, x))
    )
    assert torch.equal(found, wanted)
    with sf.sampling(network, "mean"):
        assert torch.equal(network(x), chain(place, first, second, alone, layers, x))
        assert torch.equal(network(x), network(x))
    assert not torch.equal(network(x), network(x))


@places
@pytest.mark.parametrize(("name", "steps"), CASES)
def test_gradients_and_recordings_reach_the_layer(place: str, name: str, steps: int) -> None:
    first, second, layers, x = parts(steps)
    noise = (sequence_noise() if steps else vector_noise())[name]
    network = placed(place, first, second, noise, layers)
    with sf.record(network) as rec:
        network(x).square().sum().backward()
    assert list(rec.samples) == ["noise"]
    assert rec.log_scales["noise"].shape == (*x.shape[:-1], F)
    for parameter in network.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
    assert all(parameter.grad.any() for parameter in noise.parameters())


@places
def test_the_state_of_a_recurrent_layer_is_dropped_wherever_it_stands(place: str) -> None:
    """As L and N₁ too, torch's own and ours."""
    _, second, _, x = parts(STEPS)
    first = nn.GRU(3, F, batch_first=True)
    for layers in (nn.LSTM(3, F, batch_first=True), sf.nn.StochasticGRU(3, F, batch_first=True)):
        noise = sf.nn.StochasticLSTM(F, F, batch_first=True)
        network = placed(place, first, second, noise, layers)
        with sf.sampling(network, "mean"):
            wanted = chain(
                place,
                partial(sample_of, first),
                second,
                partial(sample_of, noise),
                partial(sample_of, layers),
                x,
            )
            assert torch.equal(network(x), wanted)


def test_what_the_network_itself_gives_is_left_alone() -> None:
    network = sf.placement.before(nn.LSTM(3, F), sf.nn.StochasticLinear(3, 3))
    output, (h, c) = network(torch.randn(STEPS, 2, 3))
    assert [t.shape for t in (output, h, c)] == [(STEPS, 2, F), (1, 2, F), (1, 2, F)]


def test_branches_that_are_no_tensors_reach_a_merge_of_ones_own() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x, 2 * x

    def merge(left: Any, right: Tensor) -> Tensor:
        return left[0] + left[1] + right

    noise, x = sf.nn.StochasticLinear(3, 3), torch.randn(2, 3)
    for place in PLACES[1:]:
        network = getattr(sf.placement, place)(Two(), nn.Identity(), noise, merge=merge)
        assert network(x).shape == (2, 3)


def test_packed_sequences_before_a_recurrent_network() -> None:
    noise, network = sf.nn.StochasticLSTM(3, F), nn.LSTM(F, 2)
    packed = pack_sequence([torch.randn(4, 3), torch.randn(2, 3)])
    output, _ = sf.placement.before(network, noise)(packed)
    assert isinstance(output, PackedSequence)
    assert output.data.shape == (6, 2)


@places
def test_labels_of_records_select_for_all_steps(place: str) -> None:
    first, second, layers, x = parts(STEPS)
    noise = sf.nn.ConditionalLinear(3, F, F)
    network, labels = placed(place, first, second, noise, layers), torch.tensor([2, 0])
    with sf.sampling(network, "mean"):
        wanted = chain(place, first, second, lambda v: noise(v, labels), layers, x)
        assert torch.equal(network(x, labels), wanted)
        torch.testing.assert_close(network(x, torch.eye(3)[labels]), wanted)
    assert (network(x, labels) != network(x, labels)).any()
    network(x, labels).square().sum().backward()
    assert noise.weight.grad is not None
    assert noise.weight.grad[[0, 2]].any()
    assert not noise.weight.grad[1].any()
    with pytest.raises(DataError, match=r"labels must be \[2\]"):
        network(x, labels[:1])


@pytest.mark.parametrize("place", PLACES[1:])
@pytest.mark.parametrize("steps", [STEPS, 0])
def test_merging_by_stacking_features(place: str, steps: int) -> None:
    first, _, layers, x = parts(steps)
    wide = 2 * F if place == "merge_then_noise" else F
    noise, merge = sf.nn.StochasticLinear(wide, wide), partial(concatenate, axis=-1)
    network = getattr(sf.placement, place)(first, nn.Identity(), noise, layers, merge=merge)
    assert network(x).shape == (*x.shape[:-1], 2 * F)
    with sf.sampling(network, "mean"):
        if place == "merge_then_noise":
            wanted = noise(torch.cat([first(x), layers(x)], -1))
        else:
            wanted = torch.cat([first(x), noise(layers(x))], -1)
        assert torch.equal(network(x), wanted)


def test_wrong_shapes_are_named() -> None:
    first, second, layers, x = parts(STEPS)
    lstm = sf.nn.StochasticLSTM(F + 1, F, batch_first=True)
    with pytest.raises(DataError, match="StochasticLSTM was made for 5 input features"):
        sf.placement.before(second, lstm, layers)(x)
    narrow = sf.nn.StochasticLSTM(F, 3, batch_first=True)
    with pytest.raises(DataError, match=r"have shapes \[2, 5, 4\] and \[2, 5, 3\]: choose L"):
        sf.placement.noise_then_merge(first, second, narrow, layers)(x)
    for left, right, axis in [
        (torch.zeros(2, 5, 4), torch.zeros(2, 5, 4), 3),
        (torch.zeros(2, 5, 4), torch.zeros(2, 4, 3), -1),
        (torch.zeros(2, 5, 4), torch.zeros(2, 5, 3), 1),
        (torch.zeros(2, 5, 4), torch.zeros(2, 4), 1),
    ]:
        with pytest.raises(DataError, match=f"cannot be stacked on axis {axis}: choose L so"):
            concatenate(left, right, axis)
    assert concatenate(torch.zeros(2, 5, 4), torch.zeros(2, 1, 4)).shape == (2, 6, 4)
