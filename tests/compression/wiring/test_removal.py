"""Removed is masked: on every kind of network, plain and with stochastic layers."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn, optim

import sfumato as sf
from sfumato.compression import Wiring, collapse, count, remove, stochastic
from sfumato.compression.importance import Magnitude, Scene, Taylor
from sfumato.compression.wiring import Costs
from tests.compression.models import NETWORKS, depthwise_upward, network, upward

GROUPS = {
    "lenet": {"0": 4, "3": 6, "7": 9},
    "vgg": {"0": 6, "4": 8, "9": 7},
    "residual": {"stem": 6, "first": 5, "wider": 8},
    "dense": {"stem": 4, "first": 3, "second": 5},
    "reused": {"first": 5, "left": 4, "right": 3, "hidden": 6},
    "grouped": {"0": 2, "2": 3, "5": 6},
    "depthwise": {"0": 6, "6": 4},
    "sequence": {"0": 5, "2": 4},
    "volume": {"0": 4, "2": 3},
}
BOTH = pytest.mark.parametrize("noisy", [False, True], ids=["plain", "stochastic"])
ALL = pytest.mark.parametrize("name", NETWORKS)


def made(name: str, noisy: bool) -> tuple[nn.Module, Tensor]:
    model, inputs = network(name)
    return (stochastic(model).eval() if noisy else model), inputs


def mean(model: nn.Module, inputs: Tensor) -> Tensor:
    with torch.no_grad():
        return collapse(model)(inputs)


def same(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


@ALL
def test_the_groups(name: str) -> None:
    model, inputs = network(name)
    assert Wiring(model, inputs).sizes == GROUPS[name]


@pytest.mark.parametrize(
    ("make", "side", "sizes"), [(upward, 7, {"0": 5, "2": 4}), (depthwise_upward, 6, {"2": 4})]
)
def test_transposed_convolutions(
    make: Callable[[], nn.Module], side: int, sizes: dict[str, int]
) -> None:
    """Also behind one slope for all channels, which is no channel's own."""
    torch.manual_seed(0)
    model, inputs = make().eval(), torch.randn(12, 2, side, side)
    wiring = Wiring(model, inputs)
    assert wiring.sizes == sizes
    scene = Scene(model, wiring, inputs, torch.arange(12) % 3)
    for importance in (Taylor(), Magnitude()):
        assert {name: len(one) for name, one in importance.score(scene).items()} == sizes
    for group in sizes:
        with wiring.masking(model, {group: [1, 2]}), torch.no_grad():
            masked = model(inputs)
        with torch.no_grad():
            same(remove(model, inputs, {group: [1, 2]})(inputs), masked)


def test_layers_that_are_given_their_input_by_name() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(4, 6), nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.two(input=torch.relu(self.one(input=x)))

    torch.manual_seed(0)
    model, inputs = Named().eval(), torch.randn(5, 4)
    wiring = Wiring(model, inputs)
    scene = Scene(model, wiring, inputs, torch.arange(5) % 3)
    assert len(Taylor().score(scene)["one"]) == 6
    with wiring.masking(model, {"one": [0, 3]}), torch.no_grad():
        masked = model(inputs)
    with torch.no_grad():
        same(remove(model, inputs, {"one": [0, 3]})(inputs), masked)


@BOTH
@ALL
def test_the_smaller_network_is_the_masked_one(name: str, noisy: bool) -> None:
    model, inputs = made(name, noisy)
    wiring = Wiring(model, inputs)
    for group, size in GROUPS[name].items():
        for gone in ([0], list(range(0, size, 2)), list(range(1, size))):
            gone = gone[: size - 1]
            with wiring.masking(model, {group: gone}), torch.no_grad():
                if noisy:
                    with sf.sampling(model, "mean"):
                        masked = model(inputs)
                else:
                    masked = model(inputs)
            smaller = copy.deepcopy(model)
            wiring.copy().remove(smaller, {group: gone})
            same(mean(smaller, inputs), masked)
        assert not torch.allclose(masked, mean(model, inputs), atol=1e-5)


@BOTH
@ALL
def test_one_after_the_other_down_to_one_neuron_in_each_layer(name: str, noisy: bool) -> None:
    model, inputs = made(name, noisy)
    whole, first = copy.deepcopy(model), Wiring(model, inputs)
    wiring = first.copy()
    alive = {group: list(range(size)) for group, size in first.sizes.items()}
    random = torch.Generator().manual_seed(2)
    while any(size > 1 for size in wiring.sizes.values()):
        group = max(wiring.sizes, key=wiring.sizes.__getitem__)
        number = int(torch.randint(wiring.sizes[group], (), generator=random))
        wiring.remove(model, {group: [number]})
        del alive[group][number]
    gone = {g: [n for n in range(s) if n not in alive[g]] for g, s in first.sizes.items()}
    at_once = remove(whole, inputs, gone)
    for one, other in zip(model.state_dict().values(), at_once.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    plain = collapse(whole)
    with first.masking(plain, gone), torch.no_grad():
        same(mean(model, inputs), plain(inputs))
    if name not in ("grouped", "depthwise"):  # with one channel in a group there is no group
        assert Wiring(model, inputs).sizes == dict.fromkeys(first.sizes, 1)


@BOTH
@ALL
def test_costs_are_what_a_removal_saves(name: str, noisy: bool) -> None:
    model, inputs = made(name, noisy)
    shape, wiring = inputs.shape[1:], Wiring(model, inputs)
    before = count(model, shape).multiplications
    for group, costs in Costs(model, inputs).by_neuron(model, wiring).items():
        for neuron in (0, wiring.sizes[group] - 1):
            smaller = copy.deepcopy(model)
            wiring.copy().remove(smaller, {group: [neuron]})
            after = count(smaller, shape).multiplications
            assert int(costs[neuron]) == before - after > 0


def test_the_result_is_plain_dense_and_of_its_own() -> None:
    model, inputs = network("residual")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    smaller = remove(model, inputs, {"stem": [1, 2], "wider": [0]})
    assert [type(m) for m in smaller.modules()] == [type(m) for m in model.modules()]
    assert repr(smaller.get_submodule("wider")) == repr(nn.Conv2d(4, 7, 3, 2, 1))
    assert smaller.get_submodule("norm").running_mean.shape == (4,)
    assert not any(isinstance(m, nn.Module) and m._forward_pre_hooks for m in smaller.modules())
    assert all(torch.equal(before[n], v) for n, v in model.state_dict().items())


def test_stochastic_layers_keep_both_branches() -> None:
    model, inputs = made("grouped", True)
    smaller = remove(model, inputs, {"2": [1], "0": [0]})
    old, new = model[2], smaller[2]  # type: ignore[index]
    outputs = [n for n in range(12) if n % 3 != 1]
    blocks = old.weight.unflatten(0, (2, 12))[:, outputs][:, :, [1]]
    assert torch.equal(new.weight, blocks.flatten(0, 1))
    assert (new.operator.outputs, new.operator.inputs, new.operator.groups) == (8, 4, 4)
    torch.manual_seed(0)
    assert bool(smaller(inputs).isfinite().all())


@pytest.mark.parametrize("kind", [optim.Adam, optim.SGD])
def test_the_optimiser_goes_on_with_what_stays(kind: type[optim.Optimizer]) -> None:
    model, inputs = made("vgg", True)
    arguments = {"lr": 0.01} if kind is optim.Adam else {"lr": 0.01, "momentum": 0.9}
    optimizer = kind(model.parameters(), **arguments)  # type: ignore[arg-type]

    def step() -> None:
        optimizer.zero_grad()
        model(inputs).square().sum().backward()
        optimizer.step()

    step()
    key = "exp_avg" if kind is optim.Adam else "momentum_buffer"
    old = optimizer.state[model[4].weight][key]  # type: ignore[index]
    norm = optimizer.state[model[5].weight][key]  # type: ignore[index]
    Wiring(model, inputs).remove(model, {"4": [2, 5], "0": [1]}, optimizer)
    stays, reads = [0, 1, 3, 4, 6, 7], [0, 2, 3, 4, 5]
    kept = old.unflatten(0, (2, 8))[:, stays].flatten(0, 1)[:, reads]
    assert torch.equal(optimizer.state[model[4].weight][key], kept)  # type: ignore[index]
    assert torch.equal(optimizer.state[model[5].weight][key], norm[stays])  # type: ignore[index]
    held = [p for group in optimizer.param_groups for p in group["params"]]
    assert list(map(id, held)) == list(map(id, model.parameters()))
    before = [p.clone() for p in model.parameters()]
    step()
    assert all(not torch.equal(p, q) for p, q in zip(before, model.parameters(), strict=True))


def test_frozen_parameters_stay_frozen() -> None:
    model, inputs = made("lenet", True)
    model.get_parameter("3.weight").requires_grad_(False)
    smaller = remove(model, inputs, {"3": [0]})
    flags = {name: p.requires_grad for name, p in smaller.named_parameters()}
    assert [name for name, flag in flags.items() if not flag] == ["3.weight"]
