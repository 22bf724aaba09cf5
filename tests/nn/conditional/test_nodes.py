"""The graph nodes of our own against plain operations: once, twice, in batches, under autocast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd.functional import jacobian

import sfumato as sf
from sfumato.nn.conditional import classwise, fold, segments, soft
from sfumato.nn.operator import Operator
from tests.nn.cases import CLASSES, GROUPED, Conv

PLAIN = Conv((4, 5), 3, 2, 2, {"padding": 1, "stride": (2, 1)})
CIRCULAR = Conv((4, 4), 2, 2, 3, {"padding": "same", "padding_mode": "circular"})
EVEN = Conv((5,), 2, 3, 2, {"padding": "same"})  # one more zero on one side than on the other
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
CONVS = {"plain": PLAIN, "grouped": GROUPED, "circular": CIRCULAR, "even": EVEN}
F64: dict[str, Any] = {"dtype": torch.float64}
LABELS = torch.tensor([2, 0, 2, 2])
VECTORS = "vectors"
cases = pytest.mark.parametrize("case", [*CONVS, VECTORS])


def material(case: str) -> tuple[Operator, Tensor, Tensor, Tensor]:
    """An operator, records, kernels of `CLASSES` classes, biases; all but the first learn."""
    if case == VECTORS:
        layer: Any = sf.nn.ConditionalLinear(CLASSES, 5, 4, **F64)
        x = torch.randn(4, 3, 5, **F64)
    else:
        layer, x = CONVS[case].conditional(), CONVS[case].records()
    return layer.operator, x.requires_grad_(), layer.weight, layer.bias


def by_segment(case: str) -> tuple[Callable[..., Tensor], list[Tensor]]:
    op, *leaves = material(case)
    parts = segments.segments(LABELS, CLASSES)
    return lambda x, w, b: segments.fused_by_segment(op, x, w, b, parts), leaves


def one_by_one(case: str) -> tuple[Callable[..., Tensor], list[Tensor]]:
    """A module's own kernel and bias for each of the two classes that occur."""
    op, x, weight, bias = material(case)
    parts = segments.segments(torch.tensor([1, 0, 1, 1]), 2)
    leaves = [x, *(own.detach().clone().requires_grad_() for own in (*weight[:2], *bias[:2]))]
    return lambda x, *own: segments.fused_by_segment(op, x, own[:2], own[2:], parts), leaves


def by_class(case: str, place: Any, learning: bool) -> tuple[Callable[..., Tensor], list[Tensor]]:
    op, x, weight, _ = material(case)
    like = x if place == "input" else op.apply(x, weight[0], None).narrow(op.channel_axis, 0, 1)
    pi = torch.rand(len(x), CLASSES, *like.shape[1:], **F64)
    pi[1, 0] = pi[:, 1] = 0.0  # a pair and a class without a share
    if learning:
        return lambda x, w, pi: classwise.weighed(op, x, w, pi, place), [
            x,
            weight,
            pi.requires_grad_(),
        ]
    return lambda x, w: classwise.weighed(op, x, w, pi, place), [x, weight]


def weighted_sum(_: str) -> tuple[Callable[..., Tensor], list[Tensor]]:
    pi = torch.rand(1, CLASSES, 1, 4, **F64).requires_grad_()
    values = torch.randn(CLASSES, 3, 4, **F64).requires_grad_()
    return fold._weighted_sum, [pi, values]


NODES: dict[str, Callable[[str], tuple[Callable[..., Tensor], list[Tensor]]]] = {
    "hard": by_segment,
    "hard, one by one": one_by_one,
    "soft, input": lambda case: by_class(case, "input", False),
    "soft, input, learning": lambda case: by_class(case, "input", True),
    "soft, output": lambda case: by_class(case, "output", False),
    "soft, output, learning": lambda case: by_class(case, "output", True),
    "weighted sum": weighted_sum,
}
nodes = pytest.mark.parametrize("node", NODES)


@cases
@nodes
def test_gradients(node: str, case: str) -> None:
    run, leaves = NODES[node](case)
    assert torch.autograd.gradcheck(run, leaves, fast_mode=True)


@cases
@nodes
def test_second_derivatives(node: str, case: str) -> None:
    run, leaves = NODES[node](case)
    assert torch.autograd.gradgradcheck(run, leaves, fast_mode=True)


@cases
@nodes
def test_many_gradients_at_once(node: str, case: str) -> None:
    run, leaves = NODES[node](case)
    inputs = tuple(leaf.detach() for leaf in leaves)
    torch.testing.assert_close(
        jacobian(run, inputs, vectorize=True), jacobian(run, inputs), rtol=1e-10, atol=1e-10
    )


@cases
@nodes
@pytest.mark.parametrize("frozen", [0, 1])
def test_what_does_not_learn_gets_no_gradient(node: str, case: str, frozen: int) -> None:
    run, leaves = NODES[node](case)
    expected = torch.autograd.grad(run(*leaves).square().sum(), leaves)
    leaves[frozen] = leaves[frozen].detach()
    rest = [leaf for leaf in leaves if leaf.requires_grad]
    wanted = [g for k, g in enumerate(expected) if k != frozen]
    torch.testing.assert_close(
        torch.autograd.grad(run(*leaves).square().sum(), rest), tuple(wanted)
    )


@cases
@pytest.mark.parametrize("learning", [True, False])
@pytest.mark.parametrize("place", ["input", "output"])
def test_shares_against_plain_operations(case: str, place: Any, learning: bool) -> None:
    op, x, weight, _ = material(case)
    pi = by_class(case, place, True)[1][2].detach().requires_grad_(learning)
    leaves = [x, weight, *([pi] if learning else [])]
    h = classwise.weighed(op, x, weight, pi, place)
    wanted = classwise.weighed_plain(op, x, weight, pi, place)
    torch.testing.assert_close(h, wanted)
    upstream = torch.randn_like(h)
    torch.testing.assert_close(
        torch.autograd.grad(h, leaves, upstream), torch.autograd.grad(wanted, leaves, upstream)
    )


@pytest.mark.parametrize("selection", ["labels", "pixels", "classes"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(selection: str, dtype: torch.dtype) -> None:
    layer, x = sf.nn.ConditionalConv2d(3, 128, 48, 3), torch.randn(4, 128, 4, 4)
    assert not layer.operator.prefers_each(x, 2, 2)
    chosen = {
        "labels": torch.tensor([1, 2, 1, 1]),
        "pixels": torch.rand(4, 3, 4, 4),
        "classes": sf.nn.SoftSelection(3),
    }[selection]
    exact = layer.params(x, chosen)
    x.requires_grad_()
    with torch.autocast("cpu", dtype):
        found = layer.params(x, chosen)
        h = layer(x, chosen)
    assert h.dtype == dtype
    torch.testing.assert_close(found, exact, rtol=0.05, atol=0.05)
    h.float().square().sum().backward()
    assert x.grad is not None and layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32 and layer.weight.grad.isfinite().all()


def test_gradients_accumulate() -> None:
    """A second backward pass adds to the gradient that the first one left."""
    layer, x, c = sf.nn.ConditionalLinear(3, 80, 80), torch.randn(4, 80), torch.tensor([1, 2, 1, 1])
    eps = torch.randn(4, 80)
    for _ in range(2):
        layer(x, c, eps).square().sum().backward()
    total = layer.weight.grad
    layer.zero_grad()
    layer(x, c, eps).square().sum().backward()
    assert total is not None and layer.weight.grad is not None
    torch.testing.assert_close(total, 2 * layer.weight.grad)


def test_large_gradients_are_like_others() -> None:
    """Memory from numpy: an optimiser steps, a copy is a copy, and absent classes get zeros."""
    layer = sf.nn.ConditionalLinear(4, 512, 512)
    assert layer.weight.numel() * 4 > 4 << 20
    optimiser = torch.optim.Adam(layer.parameters())
    before = layer.weight.detach().clone()
    layer(torch.randn(8, 512), torch.tensor([1, 3] * 4)).square().sum().backward()
    grad = layer.weight.grad
    assert grad is not None and grad.is_contiguous()
    assert not grad[[0, 2]].any() and grad[1].any() and grad[3].any()
    optimiser.step()
    changed = (layer.weight != before).flatten(1).any(1)
    assert changed.tolist() == [False, True, False, True]
    optimiser.zero_grad(set_to_none=False)
    assert not grad.any()


def test_the_biases_of_sparse_maps() -> None:
    """Only the classes that occur in a record count; the others may be anything."""
    layer: Any = sf.nn.ConditionalConv2d(5, 1, 2, 3, dtype=torch.float64)
    x = torch.randn(3, 1, 6, 6, dtype=torch.float64)
    maps = torch.randint(3, (3, 6, 6))
    maps[1] = 1
    wanted = layer.params(x, maps)
    with torch.no_grad():
        for parameter in (layer.weight, layer.bias):
            parameter[3:] = float("nan")
    torch.testing.assert_close(layer.params(x, maps), wanted)
    pi, own = soft._occurring(
        torch.nn.functional.one_hot(maps, 5).movedim(-1, 1).double(), layer.bias
    )
    assert pi.shape[1] == own.shape[1] == 3
