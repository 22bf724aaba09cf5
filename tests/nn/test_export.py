"""`torch.export`: ε as an input of the graph, or fresh noise at every call."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import sfumato as sf
from tests.nn.cases import CLASSES, NAMES, a_layer

BATCH = torch.export.Dim("batch", min=2)


def dynamic(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple({0: BATCH} for _ in arguments)


@pytest.mark.parametrize("name", NAMES)
def test_fresh_noise_at_every_call(name: str) -> None:
    layer, arguments = a_layer(name)
    graph = torch.export.export(layer, arguments, dynamic_shapes=dynamic(arguments)).module()
    first, second = graph(*arguments), graph(*arguments)
    assert (first != second).all()
    small = tuple(a[:2] for a in arguments)
    assert graph(*small).shape == layer(*small).shape


@pytest.mark.parametrize("name", NAMES)
def test_eps_as_an_input(name: str) -> None:
    layer, arguments = a_layer(name)
    eps = torch.randn_like(layer(*arguments))
    inputs = (*arguments, eps)
    graph = torch.export.export(layer, inputs, dynamic_shapes=dynamic(inputs)).module()
    more = tuple(torch.cat([a, a]) for a in inputs)
    torch.testing.assert_close(graph(*more), layer(*more))
    assert torch.equal(graph(*more), graph(*more))


@pytest.mark.parametrize("shape", [(), (2,), (2, 5, 5)])
def test_soft_selection(shape: tuple[int, ...]) -> None:
    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, _ = a_layer("ConditionalConv2d")
            self.selection = sf.nn.SoftSelection(CLASSES, shape)

        def forward(self, x: torch.Tensor, eps: torch.Tensor) -> torch.Tensor:
            return self.layer(x, self.selection, eps)

    network, inputs = Network(), (torch.randn(4, 2, 5, 5), torch.randn(4, 3, 5, 5))
    graph = torch.export.export(network, inputs, dynamic_shapes=dynamic(inputs)).module()
    torch.testing.assert_close(graph(*inputs), network(*inputs))


def test_the_mean_is_exported_without_noise() -> None:
    layer, x = sf.nn.StochasticLinear(5, 3), torch.randn(4, 5)
    with sf.sampling(layer, "mean"):
        program = torch.export.export(layer, (x,))
    assert "normal" not in program.graph_module.code
    torch.testing.assert_close(program.module()(x), layer.params(x)[0])
