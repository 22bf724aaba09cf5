"""Function transforms and checkpointing: what needs the noise apart from the transform."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap
from torch.utils.checkpoint import checkpoint

import sfumato as sf
from tests.nn.cases import CLASSES, NAMES, a_layer

names = pytest.mark.parametrize("name", NAMES)


def one(layer: Any, *arguments: Any) -> Tensor:
    return layer(*(a.unsqueeze(0) for a in arguments))[0]


@names
def test_vmap_draws_for_each_record(name: str) -> None:
    layer, (x, *rest) = a_layer(name)
    same = x[:1].expand_as(x)
    rest = [torch.zeros_like(r) for r in rest]
    h = vmap(lambda *a: one(layer, *a), randomness="different")(same, *rest)
    assert h.shape == layer(same, *rest).shape
    assert (h[0] != h[1]).all()


@names
def test_gradients_for_each_record(name: str) -> None:
    layer, arguments = a_layer(name)
    eps = torch.randn_like(layer(*arguments))
    named = {k: v.detach() for k, v in layer.named_parameters()}

    def loss(values: dict[str, Tensor], *each: Tensor) -> Tensor:
        return functional_call(layer, values, tuple(a.unsqueeze(0) for a in each)).square().sum()

    axes = (None, *(0 for _ in arguments), 0)
    together = vmap(grad(loss), in_dims=axes)(named, *arguments, eps)
    for b in range(len(eps)):
        alone = grad(loss)(named, *(a[b] for a in arguments), eps[b])
        for key, value in alone.items():
            torch.testing.assert_close(together[key][b], value)


@pytest.mark.parametrize("shape", [(), (CLASSES,), (CLASSES, 5, 5)])
def test_vmap_over_selections(shape: tuple[int, ...]) -> None:
    layer, (x, _) = a_layer("ConditionalConv2d")
    pi = torch.rand(4, CLASSES, *shape[1:])
    eps = torch.randn_like(layer(x, pi))
    found = vmap(lambda *a: one(layer, *a))(x, pi, eps)
    torch.testing.assert_close(found, layer(x, pi, eps))


def gradients(layer: Any, arguments: tuple[Any, ...], reentrant: bool | None) -> list[Tensor]:
    torch.manual_seed(5)
    if reentrant is None:
        h = layer(*arguments)
    else:
        h = checkpoint(layer, *arguments, use_reentrant=reentrant)
    assert isinstance(h, Tensor)
    return [h.detach(), *torch.autograd.grad(h.square().sum(), [*layer.parameters()])]


@names
def test_activation_checkpointing(name: str) -> None:
    layer, arguments = a_layer(name)
    plain = gradients(layer, arguments, None)
    kept = gradients(layer, arguments, False)
    for mine, theirs in zip(kept, plain, strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("combine", ["sum", "mixture"])
def test_activation_checkpointing_with_a_soft_selection(combine: Any) -> None:
    layer, (x, _) = a_layer("ConditionalConv2d")
    soft = sf.nn.SoftSelection(CLASSES, combine=combine)
    plain, kept = (gradients(layer, (x, soft), way) for way in (None, False))
    for mine, theirs in zip(kept, plain, strict=True):
        assert torch.equal(mine, theirs)


def test_several_draws_before_one_backward() -> None:
    """The noise of an earlier call must not be overwritten by a later one."""
    layer, (x,) = a_layer("StochasticLinear")
    eps = [torch.randn(4, 3) for _ in range(3)]
    together = torch.stack([layer(x, e) for e in eps]).square().sum()
    found = torch.autograd.grad(together, layer.weight)[0]
    alone = [torch.autograd.grad(layer(x, e).square().sum(), layer.weight)[0] for e in eps]
    torch.testing.assert_close(found, alone[0] + alone[1] + alone[2])
