"""What torch does to a module, done to Bayesian ones: compile, export, vmap, half precision."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

import sfumato as sf
from tests.nn.weights.cases import ESTIMATORS, KERNELS, MODULES, first, kernels, modules

# torch's own remark about projections
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
WHOLE = [(name, e) for name in ("BayesianLinear", "BayesianConv2d") for e in ESTIMATORS]


def wrapped(name: str) -> tuple[Any, tuple[Any, ...]]:
    module, arguments = modules()[name]
    return sf.nn.bayesian(module), arguments


@pytest.mark.parametrize(("name", "estimator"), WHOLE)
def test_compiled_in_one_graph(name: str, estimator: Any) -> None:
    torch.compiler.reset()
    layer, x = kernels(estimator=estimator)[name]
    graph = torch.compile(layer, fullgraph=True, backend="aot_eager")
    assert (graph(x) != graph(x)).any()
    graph(x).sum().backward()
    assert all(p.grad is not None for p in layer.parameters())
    with sf.sampling(layer, "mean"):
        torch.testing.assert_close(graph(x), layer(x))


@pytest.mark.parametrize("name", [n for n in MODULES if "LSTM" not in n and n != "GRU"])
def test_any_module_compiled_in_one_graph(name: str) -> None:
    torch.compiler.reset()
    layer, arguments = wrapped(name)
    graph = torch.compile(layer, fullgraph=True, backend="aot_eager")
    assert (first(graph(*arguments)) != first(graph(*arguments))).any()


@pytest.mark.parametrize(("name", "estimator"), WHOLE)
def test_exported_layers_stay_random(name: str, estimator: Any) -> None:
    layer, x = kernels(estimator=estimator)[name]
    program = torch.export.export(layer, (x,)).module()
    assert (program(x) != program(x)).any()


@pytest.mark.parametrize("name", [n for n in MODULES if "LSTM" not in n and n != "GRU"])
def test_exported_modules_stay_random(name: str) -> None:
    layer, arguments = wrapped(name)
    program = torch.export.export(layer, arguments).module()
    assert (first(program(*arguments)) != first(program(*arguments))).any()


@pytest.mark.parametrize(("name", "estimator"), WHOLE)
def test_vmap_with_different_randomness(name: str, estimator: Any) -> None:
    layer, x = kernels(estimator=estimator)[name]
    run = torch.vmap(layer, randomness="different")
    h = run(x[:1].expand(3, *x.shape[1:]).unsqueeze(1))
    assert (h[0] != h[1]).any() and (h[1] != h[2]).any()


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("name", KERNELS)
def test_half_precision(name: str, estimator: Any) -> None:
    layer, x = kernels(estimator=estimator, dtype=torch.bfloat16)[name]
    h = layer(x.bfloat16())
    assert h.dtype == torch.bfloat16 and h.isfinite().all()
    (h.sum() + layer.kl()).backward()
    with torch.autocast("cpu", torch.bfloat16):
        wide, x = kernels(estimator=estimator)[name]
        assert wide(x).isfinite().all()


@pytest.mark.parametrize("name", MODULES)
def test_copied_and_stored_after_a_call(name: str) -> None:
    layer, arguments = wrapped(name)
    first(layer(*arguments)).sum().backward()
    twin = copy.deepcopy(layer)
    blank, _ = wrapped(name)
    blank.load_state_dict(load(save(layer.state_dict())))
    for other in (twin, blank):
        with sf.sampling(other, "mean"), sf.sampling(layer, "mean"):
            torch.testing.assert_close(first(other(*arguments)), first(layer(*arguments)))
        torch.testing.assert_close(other.kl(), layer.kl())


@pytest.mark.parametrize("name", KERNELS)
def test_moved_layers_go_on_learning(name: str) -> None:
    layer, x = kernels()[name]
    layer.double()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    before = {k: v.clone() for k, v in layer.state_dict().items()}
    (layer(x.double()).square().sum() + layer.kl()).backward()
    optimizer.step()
    for key, value in layer.state_dict().items():
        assert value.dtype == torch.float64 and (value != before[key]).all(), key
    with sf.sampling(layer, "mean"):
        moved = layer(x.double())
    layer.load_state_dict(before)
    with sf.sampling(layer, "mean"):
        assert (layer(x.double()) != moved).any()


def test_per_record_gradients() -> None:
    layer, x = kernels(estimator="reparameterization")["BayesianLinear"]
    values = {k: v.detach() for k, v in layer.named_parameters()}

    def loss(values: dict[str, Tensor], record: Tensor) -> Tensor:
        return torch.func.functional_call(layer, values, (record,)).square().sum()

    slopes = torch.vmap(torch.func.grad(loss), (None, 0), randomness="different")(values, x)
    assert slopes["weight_raw"].shape == (4, 3, 5) and slopes["weight_raw"].isfinite().all()


def test_checkpointed_activations() -> None:
    from torch.utils.checkpoint import checkpoint

    net = nn.Sequential(sf.nn.BayesianLinear(4, 4, scale=0.3), nn.Tanh())
    x = torch.randn(3, 4, requires_grad=True)
    torch.manual_seed(6)
    wanted = torch.autograd.grad(net(x).sum(), [x, *net.parameters()])
    torch.manual_seed(6)
    h: Any = checkpoint(net, x, use_reentrant=False)
    torch.testing.assert_close(torch.autograd.grad(h.sum(), [x, *net.parameters()]), wanted)
