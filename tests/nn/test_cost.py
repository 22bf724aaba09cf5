"""What a selection costs, counted in multiplications and additions, not in seconds."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import sfumato as sf


def flops(layer: Any, x: torch.Tensor, selection: Any, backward: bool = True) -> int:
    """Of one pass, forward or forward and backward."""
    x = x.clone().requires_grad_()
    with FlopCounterMode(display=False) as counter:
        h = layer(x, selection)
        if backward:
            h.sum().backward()
    return counter.get_total_flops()


LAYERS = {
    "conv, a kernel per record": (lambda c: sf.nn.ConditionalConv2d(c, 2, 3, 3), (2, 8, 8)),
    "conv, sorted by class": (lambda c: sf.nn.ConditionalConv2d(c, 8, 8, 3), (8, 3, 3)),
    "conv, grouped": (lambda c: sf.nn.ConditionalConv2d(c, 4, 4, 3, groups=2), (4, 8, 8)),
    "linear, a kernel per record": (lambda c: sf.nn.ConditionalLinear(c, 6, 5), (6,)),
    "linear, sorted by class": (lambda c: sf.nn.ConditionalLinear(c, 80, 80), (80,)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_hard_selection_costs_what_one_class_costs(name: str) -> None:
    make, shape = LAYERS[name]
    x = torch.randn(6, *shape)
    many, one = make(100), make(1)
    sorted_ = not many.operator.prefers_each(x, 2, 100)
    assert sorted_ == ("sorted" in name)
    labels = torch.tensor([7, 99, 0, 7, 50, 3])
    # The counter takes the backward pass of a grouped convolution for one without groups.
    both = sorted_ or "linear" in name
    assert flops(many, x, labels, both) == flops(one, x, torch.zeros_like(labels), both)


@pytest.mark.parametrize("name", LAYERS)
def test_constant_shares_cost_one_layer_and_the_merging_of_kernels(name: str) -> None:
    make, shape = LAYERS[name]
    x = torch.randn(6, *shape)
    labels = torch.zeros(6, dtype=torch.long)
    many, one = make(50), make(1)
    size = sum(parameter[0].numel() for parameter in many.parameters())
    merging = 3 * 2 * 50 * size  # forward, and backward to π and to the kernels
    cost = flops(many, x, sf.nn.SoftSelection(50))
    assert cost == flops(one, x, labels) + merging


def test_shares_for_each_record_make_no_kernel_for_each_record() -> None:
    """A fully connected layer: B kernels of its size would be copied only to be used once."""
    layer = sf.nn.ConditionalLinear(3, 200, 100)
    x, pi = torch.randn(64, 200), torch.rand(64, 3, requires_grad=True)
    kept = 0

    def count(saved: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += saved.numel()
        return saved

    with torch.autograd.graph.saved_tensors_hooks(count, lambda saved: saved):
        layer(x, pi)
    assert kept < 10 * layer.weight.numel()
    assert kept < 64 * layer.weight[0].numel()


def test_a_hard_map_skips_the_classes_that_do_not_occur() -> None:
    layer, x = sf.nn.ConditionalConv2d(20, 2, 3, 3), torch.randn(4, 2, 8, 8)
    halves = torch.zeros(4, 8, 8, dtype=torch.long)
    halves[:, :, 4:] = 7
    labels = torch.zeros(4, dtype=torch.long)
    mine, once = flops(layer, x, halves, False), flops(layer, x, labels, False)
    assert mine == pytest.approx(2 * once, rel=0.2)
