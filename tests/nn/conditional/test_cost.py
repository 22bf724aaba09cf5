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
    "conv, sorted by class": (lambda c: sf.nn.ConditionalConv2d(c, 128, 99, 3), (128, 3, 3)),
    "conv, grouped": (lambda c: sf.nn.ConditionalConv2d(c, 4, 4, 3, groups=2), (4, 8, 8)),
    "linear, a kernel per record": (lambda c: sf.nn.ConditionalLinear(c, 6, 5), (6,)),
    "linear, sorted by class": (lambda c: sf.nn.ConditionalLinear(c, 80, 80), (80,)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_hard_selection_costs_what_one_class_costs(name: str) -> None:
    make, shape = LAYERS[name]
    x = torch.randn(6, *shape)
    many, one = make(100), make(1)
    labels = torch.tensor([7, 99, 0, 7, 50, 3])
    sorted_ = not many.operator.prefers_each(x, 2, len(labels.unique()))
    assert sorted_ == ("sorted" in name)
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
    cost, alone = flops(many, x, sf.nn.SoftSelection(50)), flops(one, x, labels)
    assert alone <= cost <= alone + merging


def kept(layer: Any, x: torch.Tensor, selection: Any, *given: torch.Tensor) -> int:
    """How many numbers a call keeps for the backward pass, parameters and `given` left out."""
    own = {t.untyped_storage().data_ptr() for t in (*layer.parameters(), *given)}
    found: dict[int, int] = {}

    def count(saved: torch.Tensor) -> torch.Tensor:
        where = saved.untyped_storage().data_ptr()
        if where not in own:
            found[where] = max(found.get(where, 0), saved.untyped_storage().nbytes() // 4)
        return saved

    with torch.autograd.graph.saved_tensors_hooks(count, lambda saved: saved):
        layer(x, selection)
    return sum(found.values())


def test_shares_for_each_record_make_no_kernel_for_each_record() -> None:
    """A fully connected layer: B kernels of its size would be copied only to be used once."""
    layer = sf.nn.ConditionalLinear(3, 200, 100)
    x, pi = torch.randn(64, 200), torch.rand(64, 3, requires_grad=True)
    assert kept(layer, x, pi) < 3 * x.numel() + layer.weight[0].numel()


@pytest.mark.parametrize("learning", [True, False])
@pytest.mark.parametrize("place", ["input", "output"])
def test_what_shares_that_vary_over_a_record_keep_does_not_grow_with_the_classes(
    place: Any, learning: bool
) -> None:
    """Only π itself does: neither π_c ⊙ x nor a convolution of it is kept for each class."""

    def numbers(classes: int) -> int:
        layer = sf.nn.ConditionalConv2d(classes, 16, 16, 3, padding=1)
        soft = sf.nn.SoftSelection(classes, (1, 8, 8), place).requires_grad_(learning)
        x = torch.randn(4, 16, 8, 8, requires_grad=True)
        return kept(layer, x, soft, x)

    pixels = 8 * 8
    assert numbers(12) - numbers(2) <= 3 * 10 * pixels  # π, and its means over the windows
    assert numbers(2) <= 2 * 4 * 16 * pixels


@pytest.mark.parametrize("classes", [3, 30])
def test_a_hard_selection_keeps_the_input_and_no_copy(classes: int) -> None:
    layer = sf.nn.ConditionalConv2d(classes, 128, 99, 3)
    x = torch.randn(6, 128, 4, 4, requires_grad=True)
    labels = torch.tensor([2, 1, 0, 2, 2, 1])
    output = 6 * 99 * 2 * 2
    assert kept(layer, x, labels, x) <= output + 100  # one number for each of the noise's


def test_a_hard_map_skips_the_classes_that_do_not_occur() -> None:
    layer, x = sf.nn.ConditionalConv2d(20, 2, 3, 3), torch.randn(4, 2, 8, 8)
    halves = torch.zeros(4, 8, 8, dtype=torch.long)
    halves[:, :, 4:] = 7
    labels = torch.zeros(4, dtype=torch.long)
    mine, once = flops(layer, x, halves, False), flops(layer, x, labels, False)
    assert mine == pytest.approx(2 * once, rel=0.2)
