"""Gradients of whole layers against finite differences, with fixed noise."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import sfumato as sf
from tests.nn.cases import (
    CLASSES,
    CONDITIONAL_NAMES,
    GROUPED,
    LAWS,
    NAMES,
    Conv,
    a_layer,
    labels,
)


def check(layer: Any, *arguments: Tensor | torch.nn.Module, shape: Any = None) -> None:
    """gradcheck with respect to the input, every parameter, ε and a selection that learns."""
    layer = layer.double()
    x, *rest = arguments
    assert isinstance(x, Tensor)
    x = x.double().requires_grad_()
    eps = torch.randn_like(layer(x, *rest)).requires_grad_()
    named = dict(layer.named_parameters())
    learning = [r for r in rest if isinstance(r, Tensor) and r.requires_grad]

    def sample(*_: Tensor) -> Tensor:
        values = dict(zip(named, _[2 + len(learning) :], strict=True))
        return torch.func.functional_call(layer, values, (_[0], *rest), {"eps": _[1]})

    assert torch.autograd.gradcheck(sample, (x, eps, *learning, *named.values()), fast_mode=True)


@pytest.mark.parametrize("name", NAMES)
def test_every_layer(name: str) -> None:
    layer, arguments = a_layer(name)
    check(layer, arguments[0][:2], *(a[:2] for a in arguments[1:]))


@pytest.mark.parametrize("name", ["StochasticLinear", "ConditionalConv2d"])
def test_laplace(name: str) -> None:
    layer, arguments = a_layer(name)
    layer.noise = LAWS["laplace"]
    check(layer, *arguments)


def test_kernels_sorted_by_class() -> None:
    layer = sf.nn.ConditionalLinear(3, 80, 80)
    x = torch.randn(4, 80)
    assert not layer.operator.prefers_each(x, 2, 3)
    check(layer, x, labels())


@pytest.mark.parametrize("form", ["per class", "per channel", "per element"])
@pytest.mark.parametrize("conv", [GROUPED, Conv((4,))], ids=["grouped", "plain"])
def test_the_selection_learns(conv: Conv, form: str) -> None:
    ones = (1,) * len(conv.size)
    shape = {
        "per class": (),
        "per channel": (conv.inputs, *ones),
        "per element": (conv.inputs, *conv.size),
    }[form]
    pi = (0.1 + 0.8 * torch.rand(2, CLASSES, *shape, dtype=torch.float64)).requires_grad_()
    check(conv.conditional(), conv.records(2), pi)


@pytest.mark.parametrize("name", CONDITIONAL_NAMES)
@pytest.mark.parametrize("place", ["input", "output"])
def test_logits_of_a_soft_selection(name: str, place: Any) -> None:
    layer, (x, _) = a_layer(name)
    layer, x = layer.double(), x.double()
    soft = sf.nn.SoftSelection(CLASSES, (), place=place).double()
    eps = torch.randn_like(layer(x, soft))

    def sample(logits: Tensor) -> Tensor:
        pi = torch.func.functional_call(soft, {"logits": logits}, ())
        return layer(x, pi.expand(len(x), -1), eps)

    assert torch.autograd.gradcheck(sample, (soft.logits,))
    by_hand = torch.autograd.grad(sample(soft.logits).square().sum(), soft.logits)
    found = torch.autograd.grad(layer(x, soft, eps).square().sum(), soft.logits)
    torch.testing.assert_close(found, by_hand)


def test_frozen_kernels_pass_the_gradient_on() -> None:
    layer, soft = sf.nn.ConditionalConv2d(3, 2, 2, 3), sf.nn.SoftSelection(3, (2, 5, 5))
    layer.requires_grad_(False)
    layer(torch.randn(2, 2, 5, 5), soft).square().sum().backward()
    assert soft.logits.grad is not None
    assert soft.logits.grad.any()
    assert layer.weight.grad is None


def test_second_derivatives() -> None:
    layer = sf.nn.ConditionalLinear(3, 80, 80, dtype=torch.float64)  # sorted by class
    x = torch.randn(4, 80, dtype=torch.float64, requires_grad=True)
    eps, c = torch.randn(4, 80, dtype=torch.float64), labels()
    assert torch.autograd.gradgradcheck(lambda v: layer(v, c, eps), (x,), fast_mode=True)
