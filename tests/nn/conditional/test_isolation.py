"""Nothing of any other class reaches a record under a hard selection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

import sfumato as sf
from tests.nn.cases import CONDITIONAL_NAMES, a_layer

names = pytest.mark.parametrize("name", CONDITIONAL_NAMES)
WIDE = {
    # Wide enough that records are sorted by class instead of carrying a kernel each.
    "linear, sorted": lambda: (sf.nn.ConditionalLinear(3, 80, 80), torch.randn(4, 80)),
    "conv, sorted": lambda: (sf.nn.ConditionalConv2d(3, 128, 99, 3), torch.randn(4, 128, 3, 3)),
}
MINE = torch.tensor([1, 1, 1, 1])


@contextmanager
def others_changed(layer: Any, to: float | None) -> Iterator[None]:
    """Every class but 1 gets other parameters: `to`, or random ones."""
    kept = {name: value.clone() for name, value in layer.state_dict().items()}
    with torch.no_grad():
        for parameter in layer.parameters():
            for c in (0, 2):
                parameter[c] = torch.randn_like(parameter[c]) if to is None else to
    yield
    layer.load_state_dict(kept)


def unchanged(layer: Any, x: Tensor, eps: Tensor) -> None:
    expected = layer.params(x, MINE), layer(x, MINE, eps)
    for to in (None, 1e30, float("inf"), float("nan")):
        with others_changed(layer, to):
            for found, wanted in zip(layer.params(x, MINE), expected[0], strict=True):
                assert torch.equal(found, wanted)
            assert torch.equal(layer(x, MINE, eps), expected[1])


@names
def test_output_is_bitwise_the_same(name: str) -> None:
    layer, (x, _) = a_layer(name)
    unchanged(layer, x, torch.randn_like(layer(x, MINE)))


@pytest.mark.parametrize("name", WIDE)
def test_output_is_bitwise_the_same_when_sorted(name: str) -> None:
    layer, x = WIDE[name]()
    assert not layer.operator.prefers_each(x, 2, 3)
    unchanged(layer, x, torch.randn_like(layer(x, MINE)))


@names
def test_the_scale_has_no_softplus_of_zero_of_the_others(name: str) -> None:
    layer, (x, _) = a_layer(name)
    with torch.no_grad():
        layer.weight.zero_()
        if getattr(layer, "bias", None) is not None:
            layer.bias.zero_()
        # Only the raw scale of class 1 is low; for the others softplus(0) = 0.69 waits.
        rows = layer.weight.shape[1] // 2
        target = layer.weight if name == "ConditionalAdditiveNoise" else layer.bias
        target[1, rows:] = -50.0
    _, scale = layer.params(x, MINE)
    torch.testing.assert_close(scale, torch.full_like(scale, 1e-3))


@names
def test_gradients_of_other_classes_are_exactly_zero(name: str) -> None:
    layer, (x, _) = a_layer(name)
    layer(x, MINE).square().sum().backward()
    for parameter in layer.parameters():
        assert parameter.grad[1].any()
        assert not parameter.grad[0].any()
        assert not parameter.grad[2].any()


@pytest.mark.parametrize("name", WIDE)
def test_gradients_of_other_classes_are_exactly_zero_when_sorted(name: str) -> None:
    layer, x = WIDE[name]()
    with others_changed(layer, float("nan")):
        layer(x, MINE).square().sum().backward()
    for parameter in layer.parameters():
        assert parameter.grad[1].any()
        assert not parameter.grad[[0, 2]].any()


@names
def test_a_record_does_not_depend_on_the_rest_of_the_batch(name: str) -> None:
    layer, (x, c) = a_layer(name)
    changed = torch.cat([x[:1], torch.randn_like(x[1:])])
    other = torch.cat([c[:1], (c[1:] + 1) % 3])
    for alone, together in zip(layer.params(x, c), layer.params(changed, other), strict=True):
        torch.testing.assert_close(alone[0], together[0])
