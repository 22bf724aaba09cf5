"""A one-hot soft selection equals the hard one, to rounding, in each of its forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import sfumato as sf
from sfumato.nn import SoftSelection
from tests.nn.cases import CLASSES, Conv, convs

C = 1  # the class of every record where one selection serves all
BATCH = 3
COLOURS = torch.tensor([2, 0, 1])

every_conv = pytest.mark.parametrize("conv", convs.values(), ids=list(convs))


def spread(conv: Conv, labels: Tensor, channels: int | None) -> Tensor:
    """One-hot masks over all positions, `[B, C, *spatial]` or `[B, C, channels, *spatial]`."""
    one_hot = F.one_hot(labels, CLASSES)
    shape = conv.size if channels is None else (channels, *conv.size)
    return one_hot.reshape(*one_hot.shape, *(1,) * len(shape)).expand(-1, -1, *shape)


FORMS: dict[str, Callable[[Conv, Tensor], Tensor]] = {
    "pi [B, C]": lambda conv, c: F.one_hot(c, CLASSES).double(),
    "pi [B, C] in float32": lambda conv, c: F.one_hot(c, CLASSES).float(),
    "pi [B, C], bool": lambda conv, c: F.one_hot(c, CLASSES).bool(),
    "mask, bool": lambda conv, c: spread(conv, c, None).bool(),
    "mask, float": lambda conv, c: spread(conv, c, None).double(),
    "per channel": lambda conv, c: spread(conv, c, conv.inputs)[
        (..., *(slice(1),) * len(conv.size))
    ].double(),
    "per element": lambda conv, c: spread(conv, c, conv.inputs).double(),
    "class map": lambda conv, c: c.reshape(-1, *(1,) * len(conv.size)).expand(-1, *conv.size),
}


def compare(layer: Any, x: Tensor, selection: Any, labels: Tensor) -> None:
    torch.testing.assert_close(
        layer.params(x, selection), layer.params(x, labels), rtol=1e-12, atol=1e-12
    )


@every_conv
@pytest.mark.parametrize("form", FORMS)
def test_convolution(conv: Conv, form: str) -> None:
    layer, x = conv.conditional(), conv.records(BATCH)
    compare(layer, x, FORMS[form](conv, COLOURS), COLOURS)


@every_conv
def test_convolution_with_a_selection_that_learns(conv: Conv) -> None:
    layer, x = conv.conditional(), conv.records(BATCH)
    pi = FORMS["per element"](conv, COLOURS).requires_grad_()
    compare(layer, x, pi, COLOURS)


def extreme(shape: tuple[int, ...], **settings: Any) -> SoftSelection:
    """A learned selection that has settled on class `C`."""
    soft = SoftSelection(CLASSES, shape, **settings)
    with torch.no_grad():
        soft.logits.fill_(-200.0)
        soft.logits[C] = 200.0
    return soft


def shapes(channels: int, conv: Conv) -> list[tuple[int, ...]]:
    return [(), (channels,), (channels, *conv.size), (1, *conv.size)]


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("conv", [Conv((5,)), Conv((4, 4), 4, 2, 3, {"groups": 2, "padding": 1})])
def test_soft_selection_with_extreme_logits(conv: Conv, which: int, normalize: bool) -> None:
    layer, x = conv.conditional(), conv.records(BATCH)
    soft = extreme(shapes(conv.inputs, conv)[which], normalize=normalize)
    compare(layer, x, soft, torch.full((BATCH,), C))


@pytest.mark.parametrize("combine", ["sum", "mixture"])
@pytest.mark.parametrize("which", range(4))
def test_soft_selection_on_the_output(which: int, combine: str) -> None:
    conv = Conv((4, 4), 4, 2, 3, {"groups": 2, "padding": 1})  # the output has the input's size
    layer, x = conv.conditional(), conv.records(BATCH)
    soft = extreme(shapes(conv.outputs, conv)[which], place="output", combine=combine)
    compare(layer, x, soft, torch.full((BATCH,), C))


@pytest.mark.parametrize("learning", [True, False])
@pytest.mark.parametrize("which", range(4))
def test_mixture_on_the_input(which: int, learning: bool) -> None:
    conv = Conv((4, 4), 4, 2, 3, {"groups": 2, "padding": 1})
    layer, x = conv.conditional(), conv.records(BATCH)
    soft = extreme(shapes(conv.inputs, conv)[which], combine="mixture")
    with torch.set_grad_enabled(learning):
        compare(layer, x, soft, torch.full((BATCH,), C))


@pytest.mark.parametrize("shape", [(), (3,)])
def test_linear(shape: tuple[int, ...]) -> None:
    layer = sf.nn.ConditionalLinear(CLASSES, 3, 2, dtype=torch.float64)
    x = torch.randn(BATCH, 3, dtype=torch.float64)
    compare(layer, x, extreme(shape), torch.full((BATCH,), C))
    pi = F.one_hot(COLOURS, CLASSES).double()
    for form in (pi, pi.bool(), pi.unsqueeze(2), pi.unsqueeze(2).expand(-1, -1, 3)):
        compare(layer, x, form, COLOURS)
        compare(layer, x, form.double().requires_grad_(), COLOURS)


@pytest.mark.parametrize("shape", [(), (2,), (2, 3, 4), (1, 3, 4)])
def test_additive_noise(shape: tuple[int, ...]) -> None:
    layer = sf.nn.ConditionalAdditiveNoise(CLASSES, (2, 3, 4)).double()
    torch.nn.init.normal_(layer.weight)
    x = torch.randn(BATCH, 2, 3, 4, dtype=torch.float64)
    compare(layer, x, extreme(shape), torch.full((BATCH,), C))
    pi = F.one_hot(COLOURS, CLASSES).double()
    masks = pi.reshape(BATCH, CLASSES, 1, 1).expand(-1, -1, 3, 4)
    for form in (pi, masks, masks.bool(), masks.unsqueeze(2).expand(-1, -1, 2, -1, -1)):
        compare(layer, x, form, COLOURS)


def test_a_map_of_several_classes_is_each_class_where_it_is_alone() -> None:
    """Two halves of one picture: away from the border each is as under its own label."""
    conv = Conv((4, 8), 1, 1, 3)
    layer, x = conv.conditional(), conv.records(1)
    halves = torch.tensor([0, 0, 0, 0, 2, 2, 2, 2]).expand(1, 4, 8)
    location, scale = layer.params(x, halves)
    for c, columns in ((0, slice(0, 2)), (2, slice(4, 6))):
        alone = layer.params(x, torch.tensor([c]))
        torch.testing.assert_close(location[..., columns], alone[0][..., columns])
        torch.testing.assert_close(scale[..., columns], alone[1][..., columns])
