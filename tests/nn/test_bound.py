"""A bounded location, with and without the gradient passing straight through."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import sfumato as sf
from sfumato.errors import SettingError
from sfumato.nn import Bound
from tests.nn.cases import CONDITIONAL_NAMES, NAMES, a_layer

VALUES = [-1e30, -1e10, -3.0, -0.5, 0.1, 0.25, 0.9, 1.0, 3e7, 1e10, 1e30]


@pytest.mark.parametrize("straight", [False, True])
@pytest.mark.parametrize("edges", [(-0.5, 1.0), (0.1, 0.3), (-2.0, -1.5)])
def test_the_location_is_clamped_exactly(straight: bool, edges: tuple[float, float]) -> None:
    values = torch.tensor(VALUES)
    found = Bound(*edges, straight_through=straight)(values)
    assert torch.equal(found, values.clamp(*edges))


def test_gradients() -> None:
    for straight, expected in ((False, [0.0, 1.0, 0.0]), (True, [1.0, 1.0, 1.0])):
        location = torch.tensor([-3.0, 0.2, 5.0], requires_grad=True)
        Bound(0.0, 1.0, straight_through=straight)(location).sum().backward()
        assert location.grad is not None
        assert location.grad.tolist() == expected


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bound", [(-0.1, 0.2), Bound(-0.1, 0.2, straight_through=True)])
def test_every_layer(name: str, bound: Any) -> None:
    layer, arguments = a_layer(name)
    free, scale = layer.params(*arguments)
    layer.bound = Bound(*bound) if isinstance(bound, tuple) else bound
    location, same_scale = layer.params(*arguments)
    assert torch.equal(location, free.clamp(-0.1, 0.2))
    assert torch.equal(same_scale, scale)
    with sf.sampling(layer, "mean"):
        assert torch.equal(layer(*arguments), location)
    assert layer(*arguments).abs().max() > 0.2  # the sample itself is not bounded


@pytest.mark.parametrize("name", CONDITIONAL_NAMES)
def test_under_a_soft_selection(name: str) -> None:
    layer, (x, _) = a_layer(name)
    layer.bound = Bound(-0.1, 0.2)
    location, _ = layer.params(10 * x, sf.nn.SoftSelection(3))
    assert location.min() == torch.tensor(-0.1)
    assert location.max() == torch.tensor(0.2)


@pytest.mark.parametrize("given", [(0.0, 1.0), [0.0, 1.0], Bound(0.0, 1.0)])
def test_what_a_constructor_takes(given: Any) -> None:
    assert sf.nn.StochasticLinear(2, 2, bound=given).bound == Bound(0.0, 1.0)


@pytest.mark.parametrize("edges", [(1.0, 1.0), (1.0, 0.0), (float("nan"), 1.0)])
def test_low_is_below_high(edges: tuple[float, float]) -> None:
    with pytest.raises(SettingError, match="a bound needs low < high"):
        sf.nn.StochasticLinear(2, 2, bound=edges)
