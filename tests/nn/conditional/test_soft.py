"""Soft selection against loops: raw = Σ_c [W_c (π_c ⊙ x) + π̄_c b_c], then constrain."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import sfumato as sf
from tests.nn import reference
from tests.nn.cases import CLASSES, GROUPED, LAWS, Conv, convs

every_conv = pytest.mark.parametrize("conv", convs.values(), ids=list(convs))
BATCH = 2


def selections(conv: Conv) -> dict[str, Tensor]:
    """π of every form, by name; a size of 1 is shared."""
    f64: dict[str, Any] = {"dtype": torch.float64}
    ones = (1,) * len(conv.size)
    return {
        "per class": torch.rand(BATCH, CLASSES, **f64),
        "per channel": torch.rand(BATCH, CLASSES, conv.inputs, *ones, **f64),
        "per position": torch.rand(BATCH, CLASSES, *conv.size, **f64),
        "per element": torch.rand(BATCH, CLASSES, conv.inputs, *conv.size, **f64),
        "per column": torch.rand(BATCH, CLASSES, 1, *ones[1:], conv.size[-1], **f64),
        "one for all records": torch.rand(1, CLASSES, conv.inputs, *conv.size, **f64),
    }


def full(pi: Tensor, conv: Conv) -> Tensor:
    """π for each element: `[B, C, in, *spatial]`."""
    if pi.dim() == 2:
        pi = pi.reshape(*pi.shape, *(1,) * len(conv.size))
    if pi.dim() == 2 + len(conv.size):
        pi = pi.unsqueeze(2)
    return pi.expand(BATCH, CLASSES, conv.inputs, *conv.size)


def expected(layer: Any, x: Tensor, pi: Tensor) -> tuple[Tensor, Tensor]:
    how = reference.geometry(layer)
    raw = [
        reference.convolved_soft(one, share, layer.weight, layer.bias, how)
        for one, share in zip(x, pi, strict=True)
    ]
    return reference.batch(raw, 0.1)


@every_conv
def test_per_element_against_loops(conv: Conv) -> None:
    layer, x = conv.conditional(noise=LAWS["laplace"]), conv.records(BATCH)
    pi = selections(conv)["per element"]
    torch.testing.assert_close(layer.params(x, pi), expected(layer, x, pi))


@pytest.mark.parametrize("form", list(selections(GROUPED)))
@pytest.mark.parametrize("learning", [True, False])
@pytest.mark.parametrize("conv", [GROUPED, Conv((4, 3), 3, 2, 2)], ids=["grouped", "plain"])
def test_every_form_against_loops(form: str, learning: bool, conv: Conv) -> None:
    layer, x = conv.conditional(noise=LAWS["gaussian"]), conv.records(BATCH)
    pi = selections(conv)[form]
    wanted = expected(layer, x, full(pi, conv))
    torch.testing.assert_close(layer.params(x, pi.requires_grad_(learning)), wanted)


@pytest.mark.parametrize("channels", [1, 3])
def test_linear_against_loops(channels: int) -> None:
    layer: Any = sf.nn.ConditionalLinear(CLASSES, 3, 2, noise=LAWS["gaussian"], dtype=torch.float64)
    x = torch.randn(BATCH, 3, dtype=torch.float64)
    pi = torch.rand(BATCH, CLASSES, channels, dtype=torch.float64)
    raw = []
    for row, share in zip(x, pi, strict=True):
        parts = [
            reference.product_of(share[c] * row, layer.weight[c], share[c].mean() * layer.bias[c])
            for c in range(CLASSES)
        ]
        raw.append([sum(blocks) for blocks in zip(*parts, strict=True)])
    torch.testing.assert_close(layer.params(x, pi), reference.batch(raw, 0.1))


@pytest.mark.parametrize("shape", [(), (1,), (3,)])
def test_linear_with_axes_before_the_features(shape: tuple[int, ...]) -> None:
    layer, x = sf.nn.ConditionalLinear(CLASSES, 3, 2), torch.randn(4, 5, 2, 3)
    pi = torch.rand(4, CLASSES, *shape)
    together = layer.params(x, pi)[0]
    for t in range(5):
        for s in range(2):
            torch.testing.assert_close(together[:, t, s], layer.params(x[:, t, s], pi)[0])


def test_additive_noise_against_loops() -> None:
    layer = sf.nn.ConditionalAdditiveNoise(CLASSES, (2, 3), noise=LAWS["gaussian"]).double()
    torch.nn.init.normal_(layer.weight)
    x = torch.randn(BATCH, 2, 3, dtype=torch.float64)
    pi = torch.rand(BATCH, CLASSES, 2, 3, dtype=torch.float64)
    raw = [[(share * layer.weight[:, block]).sum(0) for block in range(2)] for share in pi]
    location, scale = reference.batch(raw, 0.1)
    torch.testing.assert_close(layer.params(x, pi), (x + location, scale))


@pytest.mark.parametrize("form", ["per class", "per channel", "per element"])
def test_selection_on_the_output(form: str) -> None:
    """Raw parameters are Σ_c π_c ⊙ (W_c x + b_c), with π of the output's shape."""
    conv = GROUPED
    layer, x = conv.conditional(noise=LAWS["gaussian"]), conv.records(BATCH)
    shape = {"per class": (), "per channel": (2,), "per element": (2, 4, 4)}[form]
    soft = sf.nn.SoftSelection(CLASSES, shape, place="output").double()
    torch.nn.init.normal_(soft.logits)
    pi = soft().reshape(CLASSES, *(shape or (1,)), *(1,) * (3 - max(1, len(shape))))
    how, raw = reference.geometry(layer), []
    for one in x:
        parts = [
            [share * block for block in reference.convolved(one, weight, bias, how)]
            for share, weight, bias in zip(pi, layer.weight, layer.bias, strict=True)
        ]
        raw.append([sum(blocks) for blocks in zip(*parts, strict=True)])
    torch.testing.assert_close(layer.params(x, soft), reference.batch(raw, 0.1))


def test_a_window_in_the_padding_alone_takes_the_mean_share() -> None:
    conv = Conv((3, 3), 1, 1, 1, {"padding": 1})
    layer, x = conv.conditional(), conv.records(BATCH)
    pi = torch.rand(BATCH, CLASSES, 1, 3, 3, dtype=torch.float64)
    corner = (pi.mean((2, 3, 4)) @ layer.bias)[:, 0]
    torch.testing.assert_close(layer.params(x, pi)[0][:, 0, 0, 0], corner)


def test_constant_shares_merge_to_one_kernel() -> None:
    """The cost is that of one layer: one convolution with one merged kernel."""
    layer, x = GROUPED.conditional(), GROUPED.records()
    soft = sf.nn.SoftSelection(CLASSES, (4,)).double()
    merged = GROUPED.stochastic()
    with torch.no_grad():
        pi = soft()[:, 0]  # uniform, so the same for each channel
        merged.weight.copy_(torch.tensordot(pi, layer.weight, 1))
        merged.bias.copy_(torch.tensordot(pi, layer.bias, 1))
    torch.testing.assert_close(layer.params(x, soft), merged.params(x))
