"""`Conditional`: every record through the module of its own class, and the merging of several."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

import sfumato as sf

C, B, T, D = 3, 5, 7, 8
LABELS = torch.tensor([2, 0, 2, 2, 0])  # class 1 does not occur


class TwoHeads(nn.Module):
    """A user's own module: more than one argument, a nest of results."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(D, 4), nn.Linear(D, 3)

    def forward(self, x: Tensor, scale: Tensor, *, shift: float = 0.0) -> dict[str, Any]:
        own = scale.reshape(-1, *(1,) * (x.dim() - 1))
        return {"a": self.first(x) * own, "b": [self.second(x) + shift, None]}


def vectors() -> Tensor:
    return torch.randn(B, D)


def pictures() -> Tensor:
    return torch.randn(B, 2, 6, 6)


def sequences() -> Tensor:
    return torch.randn(B, T, D)


Case = tuple[Callable[[], nn.Module], Callable[[], Tensor]]
PLAIN: dict[str, Case] = {
    "Linear": (lambda: nn.Linear(D, 4), vectors),
    "Linear on sequences": (lambda: nn.Linear(D, 4), sequences),
    "Conv2d": (lambda: nn.Conv2d(2, 3, 3), pictures),
    "network": (lambda: nn.Sequential(nn.Linear(D, 4), nn.Tanh(), nn.Linear(4, 2)), vectors),
    "LSTM": (lambda: nn.LSTM(D, 4, 2, bidirectional=True, batch_first=True), sequences),
    "GRU": (lambda: nn.GRU(D, 4, batch_first=True), sequences),
    "transformer": (
        lambda: nn.TransformerEncoderLayer(D, 2, 16, dropout=0.0, batch_first=True),
        sequences,
    ),
}
STOCHASTIC: dict[str, Case] = {
    "StochasticLinear": (lambda: sf.nn.StochasticLinear(D, 4), vectors),
    "StochasticConv2d": (lambda: sf.nn.StochasticConv2d(2, 3, 3), pictures),
    "AdditiveNoise": (lambda: sf.nn.AdditiveNoise((2, 6, 6)), pictures),
    "Stochastic": (lambda: sf.nn.Stochastic(nn.Linear(D, 8)), vectors),
    "StochasticSVM": (lambda: sf.nn.StochasticSVM(D, 3), vectors),
    "StochasticLSTM": (lambda: sf.nn.StochasticLSTM(D, 4, 2, batch_first=True), sequences),
    "StochasticGRU": (lambda: sf.nn.StochasticGRU(D, 4, batch_first=True), sequences),
    "StochasticTransformerEncoderLayer": (
        lambda: sf.nn.StochasticTransformerEncoderLayer(
            D, 2, 16, dropout=0.0, batch_first=True, scale=0.5
        ),
        sequences,
    ),
}
BAYESIAN: dict[str, Case] = {
    "BayesianLinear": (lambda: sf.nn.BayesianLinear(D, 4), vectors),
    "Bayesian LSTM": (lambda: sf.nn.bayesian(nn.LSTM(D, 4, batch_first=True)), sequences),
}
EVERY = {**PLAIN, **STOCHASTIC, **BAYESIAN}
every = pytest.mark.parametrize("name", EVERY)


def build(name: str) -> tuple[Any, Tensor]:
    """In float64 and with parameters away from zero."""
    make, records = EVERY[name]
    layer = sf.nn.Conditional(C, make).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return layer, records().double()


def tensors(result: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]


def first(result: Any) -> Tensor:
    return result[0] if isinstance(result, tuple) else result


@every
def test_each_record_passes_through_the_module_of_its_class(name: str) -> None:
    layer, x = build(name)
    with sf.sampling(layer, "mean"):
        found = tensors(layer(x, LABELS))
        for b, c in enumerate(LABELS.tolist()):
            alone = tensors(layer.classes[c](x[b : b + 1]))
            for k, (mine, own) in enumerate(zip(found, alone, strict=True)):
                axis = 1 if k and ("LSTM" in name or "GRU" in name) else 0
                torch.testing.assert_close(mine.narrow(axis, b, 1), own)


@every
@pytest.mark.parametrize("labels", [[1] * B, [0, 1, 2, 1, 0]])
def test_all_classes_or_one(name: str, labels: list[int]) -> None:
    layer, x = build(name)
    with sf.sampling(layer, "mean"):
        found = first(layer(x, torch.tensor(labels)))
        for c in set(labels):
            mine = torch.tensor(labels) == c
            torch.testing.assert_close(found[mine], first(layer.classes[c](x))[mine])


@every
def test_other_classes_do_not_matter_and_get_no_gradient(name: str) -> None:
    layer, x = build(name)
    for parameter in layer.classes[1].parameters():
        nn.init.constant_(parameter, float("nan"))
    h = first(layer(x, LABELS))
    assert h.isfinite().all()
    h.square().sum().backward()
    assert all(p.grad is None for p in layer.classes[1].parameters())
    assert all(p.grad is not None for p in layer.classes[0].parameters())


@every
def test_one_hot_shares_are_the_hard_selection(name: str) -> None:
    layer, x = build(name)
    one_hot = F.one_hot(LABELS, C)
    with sf.sampling(layer, "mean"):
        hard = tensors(layer(x, LABELS))
        for pi in (one_hot.double(), one_hot.bool(), one_hot.double().requires_grad_()):
            torch.testing.assert_close(tensors(layer(x, pi)), hard)
        soft = sf.nn.SoftSelection(C).double()
        with torch.no_grad():
            soft.logits.copy_(torch.tensor([-400.0, -400.0, 400.0]))
        same = torch.full((B,), 2)
        torch.testing.assert_close(tensors(layer(x, soft)), tensors(layer(x, same)))


@pytest.mark.parametrize("name", {**PLAIN, **BAYESIAN})
def test_shares_weigh_the_results(name: str) -> None:
    layer, x = build(name)
    pi = torch.rand(C).double()
    with sf.sampling(layer, "mean"):
        each = [tensors(layer.classes[c](x)) for c in range(C)]
        expected = [sum(pi[c] * each[c][k] for c in range(C)) for k in range(len(each[0]))]
        torch.testing.assert_close(tensors(layer(x, pi)), expected)
        torch.testing.assert_close(tensors(layer(x, pi.expand(B, C))), expected)


@pytest.mark.parametrize("name", STOCHASTIC)
def test_shares_weigh_the_raw_values_before_one_draw(name: str) -> None:
    layer, x = build(name)
    pi = torch.rand(B, C).double()
    raw = [layer.classes[c].blocks(x) for c in range(C)]

    def merged(block: int) -> Tensor:
        return sum(pi[:, c].reshape(B, *(1,) * (x.dim() - 1)) * raw[c][block] for c in range(C))  # type: ignore[return-value]

    expected = layer.noise.constrain([merged(k) for k in range(2)])
    torch.testing.assert_close(layer.params(x, pi), expected)
    eps = torch.randn_like(expected[0])
    h = first(layer(x, pi, eps=eps))
    torch.testing.assert_close(h, expected[0] + expected[1] * eps)


@pytest.mark.parametrize("place", ["input", "output"])
def test_shares_that_vary_over_a_record(place: Any) -> None:
    layer, x = build("transformer")
    soft = sf.nn.SoftSelection(C, (T, 1), place).double()
    nn.init.normal_(soft.logits)
    pi = soft()
    if place == "input":
        expected = sum(pi[c].mean() * layer.classes[c](pi[c] * x) for c in range(C))
    else:
        expected = sum(pi[c] * layer.classes[c](x) for c in range(C))
    torch.testing.assert_close(layer(x, soft), expected)


def test_a_mixture_draws_a_class_for_each_record() -> None:
    layer, x = build("network")
    mixture = sf.nn.SoftSelection(C, combine="mixture").double()
    each = torch.stack([layer.classes[c](x) for c in range(C)])
    drawn: set[int] = set()
    for grad in (True, False) * 10:
        with torch.set_grad_enabled(grad):
            distance = (each - layer(x, mixture)).abs().amax(-1)
        assert distance.amin(0).max() < 1e-10
        drawn.update(distance.argmin(0).tolist())
    assert drawn == set(range(C))
    layer(x, mixture).sum().backward()
    assert mixture.logits.grad is not None and mixture.logits.grad.any()


@pytest.mark.parametrize("name", STOCHASTIC)
def test_it_is_recorded_as_one_layer(name: str) -> None:
    layer, x = build(name)
    network = nn.ModuleDict({"noise": layer})
    for selection in (LABELS, torch.rand(B, C).double()):
        with sf.record(network) as rec:
            h = first(layer(x, selection))
        assert set(rec.samples) == {"noise"}
        assert torch.equal(rec.samples["noise"], h)
        torch.testing.assert_close(rec.params["noise"], layer.params(x, selection))
    assert (first(layer(x, LABELS)) != first(layer(x, LABELS))).any()
    assert not {"mode", "_observers"} & set(vars(layer))


@pytest.mark.parametrize("name", BAYESIAN)
def test_the_divergence_is_counted_once(name: str) -> None:
    layer, _ = build(name)
    expected = torch.stack([module.kl() for module in layer.classes]).sum()
    torch.testing.assert_close(sf.objectives.kl(layer), expected)
    assert not hasattr(layer, "kl")


def test_arguments_and_nested_results() -> None:
    layer, x, scale = sf.nn.Conditional(C, TwoHeads), vectors(), torch.rand(B)
    found = layer(x, LABELS, scale, shift=2.0)
    assert found["b"][1] is None
    for b, c in enumerate(LABELS.tolist()):
        alone = layer.classes[c](x[b : b + 1], scale[b : b + 1], shift=2.0)
        torch.testing.assert_close(found["a"][b], alone["a"][0])
        torch.testing.assert_close(found["b"][0][b], alone["b"][0][0])
    merged = layer(x, torch.full((C,), 1 / C), scale=scale)
    assert merged["a"].shape == (B, 4)
    assert merged["b"][1] is None


def test_dtypes_and_eps_of_a_network_with_noise_inside() -> None:
    """Not a stochastic layer itself: the layers inside draw for the records of their class."""
    layer = sf.nn.Conditional(C, lambda: nn.Sequential(sf.nn.StochasticLinear(D, 4), nn.ReLU()))
    x = vectors()
    with sf.record(layer) as rec:
        layer(x, LABELS)
    assert {k: len(v) for k, v in rec.samples.items()} == {"classes.0.0": 2, "classes.2.0": 3}
    with sf.sampling(layer, "mean"):
        assert torch.equal(layer(x, LABELS), layer(x, LABELS))


@every
def test_state(name: str, tmp_path: Path) -> None:
    layer, x = build(name)
    layer(x, LABELS)
    save_file(layer.state_dict(), tmp_path / "layer.safetensors")
    twin, fresh = copy.deepcopy(layer), build(name)[0]
    fresh.load_state_dict(load_file(tmp_path / "layer.safetensors"))
    for one in (layer, twin, fresh):
        one.eval().requires_grad_(False)
    with sf.sampling(layer, "mean"), sf.sampling(twin, "mean"), sf.sampling(fresh, "mean"):
        wanted = tensors(layer(x, LABELS))
        torch.testing.assert_close(tensors(twin(x, LABELS)), wanted)
        torch.testing.assert_close(tensors(fresh(x, LABELS)), wanted)
    assert f"num_classes={C}" in repr(layer)
    assert layer.config()["num_classes"] == C


def test_classes_start_apart() -> None:
    layer: Any = sf.nn.Conditional(C, lambda: nn.Linear(D, 4))
    assert len({tuple(m.weight.flatten().tolist()) for m in layer.classes}) == C


@pytest.mark.parametrize("name", ["Linear", "Conv2d", "StochasticConv2d", "transformer"])
def test_the_cost_does_not_grow_with_the_classes(name: str) -> None:
    """Counted in multiplications, forward and backward.

    The counter takes the backward pass of a grouped convolution for one without groups: for these
    the forward pass alone is counted.
    """

    def cost(many: int) -> int:
        make, records = EVERY[name]
        layer = sf.nn.Conditional(many, make)
        c = torch.tensor([0, many - 1, 0, many - 1, 0])
        with FlopCounterMode(display=False) as counter:
            h = layer(records().requires_grad_(), c)
            if "Conv" not in name:
                h.sum().backward()
        return counter.get_total_flops()

    assert cost(40) == cost(2) == cost(1)


CAPABLE = [n for n in EVERY if "LSTM" not in n and "GRU" not in n]  # which torch cannot trace


@pytest.mark.filterwarnings("ignore:There is a performance drop because")
@pytest.mark.parametrize("form", ["labels", "pi"])
@pytest.mark.parametrize("name", CAPABLE)
def test_traced(name: str, form: str) -> None:
    torch.compiler.reset()
    layer, x = build(name)
    selection = {"labels": LABELS, "pi": torch.rand(B, C).double()}[form]
    graph = torch.compile(layer, fullgraph=True, backend="aot_eager")
    learning = [p for p in layer.parameters() if p.requires_grad]
    with sf.sampling(layer, "mean"):
        wanted, found = layer(x, selection), graph(x, selection)
        torch.testing.assert_close(found, wanted)
        assert found.requires_grad == bool(learning)
        mapped = torch.vmap(lambda a, c: layer(a[None], c[None])[0])(x, selection)
        torch.testing.assert_close(mapped, wanted)
        batch = {0: torch.export.Dim("batch", min=2)}
        program = torch.export.export(layer, (x, selection), dynamic_shapes=(batch, batch))
        torch.testing.assert_close(program.module()(x[:3], selection[:3]), wanted[:3])
    if name in STOCHASTIC:
        assert (graph(x, selection) != graph(x, selection)).any()
