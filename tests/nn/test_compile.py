"""`torch.compile(fullgraph=True)`: the same output for the same ε, fresh noise without one."""

from __future__ import annotations

import os
import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy.stats import kstest
from torch import Tensor

import sfumato as sf
from sfumato.noise import Gaussian, Laplace, NoiseLaw
from tests.nn.cases import CLASSES, CONDITIONAL_NAMES, NAMES, a_layer

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")


@pytest.fixture(autouse=True)
def fresh_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def quickest_backend() -> str:
    """Inductor where it can work: it needs a C++ compiler and the headers of Python."""
    headers = Path(sysconfig.get_path("include"), "Python.h").is_file()
    return "inductor" if headers and shutil.which(os.environ.get("CXX", "g++")) else "aot_eager"


def compiled(layer: Any, backend: str = "aot_eager") -> Any:
    return torch.compile(layer, fullgraph=True, backend=backend)


def agree(layer: Any, *arguments: Any, backend: str = "aot_eager") -> None:
    graph = compiled(layer, backend)
    eps = torch.randn_like(layer(*arguments))
    learning = [p for p in layer.parameters() if p.requires_grad]
    found, wanted = graph(*arguments, eps=eps), layer(*arguments, eps=eps)
    torch.testing.assert_close(found, wanted)
    upstream = torch.randn_like(found)
    torch.testing.assert_close(
        torch.autograd.grad(found, learning, upstream),
        torch.autograd.grad(wanted, learning, upstream),
    )
    first, second = graph(*arguments), graph(*arguments)
    assert (first != second).all()


@pytest.mark.parametrize("name", NAMES)
def test_every_layer(name: str) -> None:
    layer, arguments = a_layer(name)
    agree(layer, *arguments)


@pytest.mark.parametrize("law", [Gaussian(), Laplace()], ids=str)
def test_inductor(law: NoiseLaw) -> None:
    """Inductor brings its own generator: its noise must follow the law all the same.

    n = 20,000 draws, seed 0; the chance of a false alarm, over seeds, is 1e-6.
    """
    layer, x = (
        sf.nn.AdditiveNoise((20_000,), noise=law).requires_grad_(False),
        torch.zeros(1, 20_000),
    )
    graph, eps = compiled(layer, quickest_backend()), torch.randn(1, 20_000)
    torch.testing.assert_close(graph(x, eps), layer(x, eps))
    first, second = graph(x), graph(x)
    assert (first != second).float().mean() > 0.99
    for h in (first, second):
        assert h.isfinite().all()
        assert kstest(layer.distribution(x).cdf(h)[0].numpy(), "uniform").pvalue > 1e-6


@pytest.mark.parametrize("name", CONDITIONAL_NAMES)
def test_soft_selection(name: str) -> None:
    layer, (x, _) = a_layer(name)
    agree(layer, x, sf.nn.SoftSelection(CLASSES))


@pytest.mark.parametrize("place", ["input", "output"])
def test_soft_selection_per_element(place: Any) -> None:
    channels = {"input": 2, "output": 3}[place]
    layer, (x, _) = a_layer("ConditionalConv2d")
    agree(layer, x, sf.nn.SoftSelection(CLASSES, (channels, 5, 5), place=place))


@pytest.mark.parametrize("spread", ["record", "map"])
def test_selections_given_as_tensors(spread: str) -> None:
    layer, (x, _) = a_layer("ConditionalConv2d")
    if spread == "map":
        agree(layer, x, torch.randint(CLASSES, (4, 5, 5)))
    else:
        agree(layer, x, torch.rand(4, CLASSES).softmax(1))


def test_a_mixture_draws_its_class_anew() -> None:
    layer, (x, _) = a_layer("ConditionalLinear")
    graph, soft = compiled(layer), sf.nn.SoftSelection(CLASSES, combine="mixture")
    x, eps = x[:1].expand(64, -1), torch.zeros(64, 3)
    first, second = graph(x, soft, eps), graph(x, soft, eps)
    assert len(first.unique(dim=0)) == CLASSES
    assert (first != second).any()


def test_modes_reach_a_compiled_layer() -> None:
    layer, x = sf.nn.StochasticLinear(5, 3), torch.randn(4, 5)
    graph = compiled(layer)
    graph(x)
    with sf.sampling(graph, "mean"):
        torch.testing.assert_close(graph(x), layer.params(x)[0])
    assert (graph(x) != graph(x)).all()
    with sf.sampling(graph, 3):
        assert graph(x).shape == (4, 3)


def test_a_compiled_layer_is_recorded() -> None:
    layer, x = sf.nn.StochasticLinear(5, 3), torch.randn(4, 5)
    graph = compiled(layer)
    graph(x)
    with sf.record(graph) as rec:
        h: Tensor = graph(x)
    assert torch.equal(next(iter(rec.samples.values())), h)


def test_a_network_of_several_layers() -> None:
    network = torch.nn.Sequential(
        sf.nn.StochasticConv2d(1, 2, 3), torch.nn.ReLU(), sf.nn.AdditiveNoise((2, 4, 4))
    )
    graph, x = compiled(network), torch.randn(2, 1, 6, 6)
    assert (graph(x) != graph(x)).any()
    with sf.sampling(network, "mean"):
        torch.testing.assert_close(graph(x), network(x))
