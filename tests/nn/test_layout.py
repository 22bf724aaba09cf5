"""Inputs as they come: empty, not contiguous, channels last, with NaN."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import sfumato as sf
from sfumato.errors import DataError
from tests.nn.cases import CLASSES, CONDITIONAL_NAMES, NAMES, a_layer

names = pytest.mark.parametrize("name", NAMES)


@names
def test_empty_batch(name: str) -> None:
    layer, arguments = a_layer(name)
    full = layer(*arguments)
    x, *rest = (a[:0] for a in arguments)
    x.requires_grad_()
    h = layer(x, *rest)
    assert h.shape == (0, *full.shape[1:])
    h.sum().backward()
    assert x.grad is not None
    assert x.grad.shape == x.shape
    for parameter in layer.parameters():
        assert parameter.grad is not None
        assert not parameter.grad.any()


@pytest.mark.parametrize("name", CONDITIONAL_NAMES)
@pytest.mark.parametrize("form", ["per class", "per position", "soft", "mixture", "output"])
def test_empty_batch_under_a_soft_selection(name: str, form: str) -> None:
    layer, (x, _) = a_layer(name)
    full, empty = layer(x, torch.zeros(len(x), dtype=torch.long)), x[:0]
    space = x.shape[2:]
    selection: Any = {
        "per class": torch.rand(0, CLASSES),
        "per position": torch.rand(0, CLASSES, *space),
        "soft": sf.nn.SoftSelection(CLASSES, (x.shape[1], *space)),
        "mixture": sf.nn.SoftSelection(CLASSES, combine="mixture"),
        "output": sf.nn.SoftSelection(CLASSES, place="output"),
    }[form]
    h = layer(empty, selection)
    assert h.shape == (0, *full.shape[1:])
    h.sum().backward()
    assert all(p.grad is not None and not p.grad.any() for p in layer.parameters())


@names
def test_empty_batch_in_every_mode(name: str) -> None:
    layer, arguments = a_layer(name)
    empty = tuple(a[:0] for a in arguments)
    for mode in ("mean", 3):
        with sf.sampling(layer, mode):
            assert layer(*empty).shape[0] == 0


@names
def test_input_that_is_not_contiguous(name: str) -> None:
    layer, (x, *rest) = a_layer(name)
    eps = torch.randn_like(layer(x, *rest))
    strided = torch.stack([x, torch.zeros_like(x)], dim=-1)[..., 0]
    turned = x.transpose(0, -1).contiguous().transpose(0, -1)
    for same in (strided, turned):
        assert not same.is_contiguous()
        torch.testing.assert_close(layer(same, *rest, eps), layer(x, *rest, eps))


@pytest.mark.parametrize("name", ["StochasticConv2d", "ConditionalConv2d", "AdditiveNoise"])
@pytest.mark.parametrize("weights", [False, True])
def test_channels_last(name: str, weights: bool) -> None:
    layer, (x, *rest) = a_layer(name)
    eps = torch.randn_like(layer(x, *rest))
    wanted = layer(x, *rest, eps)
    if weights and name == "StochasticConv2d":
        layer = layer.to(memory_format=torch.channels_last)
    found = layer(x.to(memory_format=torch.channels_last), *rest, eps)
    torch.testing.assert_close(found, wanted)
    found.sum().backward()


def test_channels_last_under_masks() -> None:
    layer, (x, _) = a_layer("ConditionalConv2d")
    pi = torch.rand(4, CLASSES, 2, 5, 5)
    last = x.to(memory_format=torch.channels_last)
    torch.testing.assert_close(layer.params(last, pi), layer.params(x, pi))


@names
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_not_a_number_goes_through_as_in_torch(name: str, value: float) -> None:
    """A layer computes; only an obfuscator refuses. The other records are untouched."""
    layer, (x, *rest) = a_layer(name)
    broken = x.clone()
    broken[0].flatten()[0] = value
    h = layer(broken, *rest)
    assert not h[0].isfinite().all()
    assert h[1:].isfinite().all()


def test_labels_of_one_record_broadcast_to_no_other() -> None:
    layer, (x, _) = a_layer("ConditionalLinear")
    with pytest.raises(DataError):
        layer(x, torch.tensor([1]))
