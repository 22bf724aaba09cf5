"""`Conditional` over layers with kernels: taken by their kernels, or called where they do more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.nn.conditional.copies import kernel_operator

C, B, T, D = 3, 5, 7, 8
LABELS = torch.tensor([2, 0, 2, 2, 0])  # class 1 does not occur


def vectors() -> Tensor:
    return torch.randn(B, D)


def same_kernels(make: Callable[[], nn.Module], conditional: Any) -> Any:
    """A `Conditional` with the kernels of a conditional layer."""
    layer: Any = sf.nn.Conditional(C, make).double()
    with torch.no_grad():
        for c, own in enumerate(layer.classes):
            own.weight.copy_(conditional.weight[c])
            own.bias.copy_(conditional.bias[c])
    return layer


SELECTIONS: dict[str, Callable[[], Any]] = {
    "labels": lambda: LABELS,
    "pi": lambda: torch.rand(B, C).double(),
    "map": lambda: torch.randint(C, (B, 6, 6)),
    "mask": lambda: torch.rand(B, C, 6, 6).double(),
    "per class": lambda: sf.nn.SoftSelection(C, place="output").double(),
    "per element": lambda: sf.nn.SoftSelection(C, (2, 6, 6)).double(),
}


@pytest.mark.parametrize("form", SELECTIONS)
def test_it_equals_the_conditional_convolution(form: str) -> None:
    """With the same kernels and the same noise, and under the same seed."""
    stacked: Any = sf.nn.ConditionalConv2d(C, 2, 3, 3, dtype=torch.float64)
    layer = same_kernels(lambda: sf.nn.StochasticConv2d(2, 3, 3), stacked)
    x = torch.randn(B, 2, 6, 6).double()
    selection, eps = SELECTIONS[form](), torch.randn(B, 3, 4, 4).double()
    torch.testing.assert_close(layer(x, selection, eps=eps), stacked(x, selection, eps))
    drawn = []
    for one in (layer, stacked):
        torch.manual_seed(3)
        drawn.append(one(x, selection))
    torch.testing.assert_close(*drawn)


def test_it_equals_the_conditional_linear_layer_step_by_step() -> None:
    stacked: Any = sf.nn.ConditionalLinear(C, D, 4, dtype=torch.float64)
    layer = same_kernels(lambda: sf.nn.StochasticLinear(D, 4), stacked)
    x = torch.randn(B, T, D).double()
    for selection in (torch.randint(C, (B, T)), torch.rand(B, C, T).double()):
        torch.testing.assert_close(layer.params(x, selection), stacked.params(x, selection))


WIDE: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    # Wide enough that records are sorted by class instead of carrying a kernel each.
    "Linear": (lambda: nn.Linear(150, 140), (150,)),
    "Linear without a bias": (lambda: nn.Linear(150, 140, bias=False), (3, 150)),
    "Conv2d": (lambda: nn.Conv2d(128, 160, 3, padding="same"), (128, 4, 4)),
    "Conv2d in groups": (lambda: nn.Conv2d(256, 256, 3, groups=2), (256, 4, 3)),
    "Conv1d": (lambda: nn.Conv1d(128, 200, 7, padding=3, padding_mode="circular"), (128, 9)),
    "StochasticConv2d": (lambda: sf.nn.StochasticConv2d(128, 90, 3), (128, 4, 4)),
}


@pytest.mark.parametrize("learning", [True, False])
@pytest.mark.parametrize("name", WIDE)
def test_wide_kernels_are_sorted_by_class(name: str, learning: bool) -> None:
    make, shape = WIDE[name]
    layer: Any = sf.nn.Conditional(C, make).double()
    operator = kernel_operator(list(layer.classes))
    x = torch.randn(B, *shape).double().requires_grad_()
    blocks = 2 if "Stochastic" in name else 1
    assert operator is not None and not operator.prefers_each(x, blocks, 2)
    layer.classes[0].requires_grad_(learning)
    with sf.sampling(layer, "mean"):
        found = layer(x, LABELS)
        wanted = torch.cat([layer.classes[c](x[b : b + 1]) for b, c in enumerate(LABELS.tolist())])
    torch.testing.assert_close(found, wanted)
    upstream = torch.randn_like(wanted)
    leaves = [x, *(p for c in (0, 2) for p in layer.classes[c].parameters() if p.requires_grad)]
    torch.testing.assert_close(
        torch.autograd.grad(found, leaves, upstream), torch.autograd.grad(wanted, leaves, upstream)
    )


@pytest.mark.parametrize("kind", ["hook", "parametrization", "weight norm"])
def test_modules_that_do_more_than_their_kernel_are_called(kind: str) -> None:
    layer: Any = sf.nn.Conditional(C, lambda: nn.Linear(D, 4))
    calls: list[int] = []
    for c, module in enumerate(layer.classes):
        if kind == "hook":
            module.register_forward_hook(lambda _, __, out, c=c: calls.append(c) or 2 * out)
        elif kind == "parametrization":
            nn.utils.parametrize.register_parametrization(module, "weight", nn.Softplus())
        else:
            nn.utils.parametrizations.weight_norm(module)
    assert kernel_operator(list(layer.classes)) is None
    x = vectors()
    found = layer(x, LABELS)
    assert sorted(calls) == ([0, 2] if kind == "hook" else [])
    for b, c in enumerate(LABELS.tolist()):
        torch.testing.assert_close(found[b], layer.classes[c](x[b]))


def test_kernels_of_several_geometries_are_called() -> None:
    strides = iter([1, 2, 1])
    layer: Any = sf.nn.Conditional(C, lambda: nn.Conv1d(D, 4, 3, next(strides), padding=1))
    assert kernel_operator(list(layer.classes)) is None
    x = torch.randn(B, D, 1)
    torch.testing.assert_close(layer(x, LABELS)[0], layer.classes[2](x)[0])
