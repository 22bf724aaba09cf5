"""A hard selection is exact: each record passes through its own class's kernels."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import sfumato as sf
from sfumato.nn import hard
from sfumato.noise import NoiseLaw
from tests.nn import reference
from tests.nn.cases import CLASSES, LAWS, Conv, convs, labels

every_conv = pytest.mark.parametrize("conv", convs.values(), ids=list(convs))
every_law = pytest.mark.parametrize("law", LAWS.values(), ids=list(LAWS))
# (labels, which of C = 4 classes occur): all equal, some absent, every one, a single record.
LABELS = [[2, 2, 2, 2, 2], [3, 0, 3, 0, 0], [3, 1, 0, 2, 1], [1]]


@every_conv
def test_convolution_against_loops(conv: Conv) -> None:
    layer, x = conv.conditional(noise=LAWS["gaussian"]), conv.records(CLASSES)
    how, c = reference.geometry(layer), labels(CLASSES)
    raw = [
        reference.convolved(
            one, layer.weight[k], None if layer.bias is None else layer.bias[k], how
        )
        for one, k in zip(x, c.tolist(), strict=True)
    ]
    torch.testing.assert_close(layer.params(x, c), reference.batch(raw, 0.1))


@every_law
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("chosen", LABELS)
def test_linear_against_loops(law: NoiseLaw, bias: bool, chosen: list[int]) -> None:
    layer: Any = sf.nn.ConditionalLinear(4, 3, 2, bias, noise=law, dtype=torch.float64)
    x = torch.randn(len(chosen), 3, dtype=torch.float64)
    eps = torch.randn(len(chosen), 2, dtype=torch.float64)
    raw = [
        reference.product_of(row, layer.weight[c], layer.bias[c] if bias else None)
        for row, c in zip(x, chosen, strict=True)
    ]
    location, scale = reference.batch(raw, 0.1)
    torch.testing.assert_close(layer(x, torch.tensor(chosen), eps), location + scale * eps)


@every_law
@pytest.mark.parametrize("chosen", LABELS)
def test_additive_noise(law: NoiseLaw, chosen: list[int]) -> None:
    layer = sf.nn.ConditionalAdditiveNoise(4, (2, 3), noise=law).double()
    torch.nn.init.normal_(layer.weight)
    x, eps = (torch.randn(len(chosen), 2, 3, dtype=torch.float64) for _ in range(2))
    h = layer(x, torch.tensor(chosen), eps)
    for b, c in enumerate(chosen):
        scale = reference.softplus(layer.weight[c, 1]) + 0.1
        torch.testing.assert_close(h[b], x[b] + layer.weight[c, 0] + scale * eps[b])


@every_conv
@pytest.mark.parametrize("chosen", LABELS)
def test_both_ways_of_computing_agree(conv: Conv, chosen: list[int]) -> None:
    layer, x = conv.conditional(4), conv.records(len(chosen))
    op, c = layer.operator, torch.tensor(chosen)
    own = None if layer.bias is None else layer.bias[c]
    together = op.apply_each(x, layer.weight[c], own)
    sorted_ = hard._by_segment(op, x, layer.weight, layer.bias, c)
    torch.testing.assert_close(together, sorted_)


@pytest.mark.parametrize("width", [2, 70])  # 70: too wide for a kernel per record
def test_linear_with_axes_before_the_features(width: int) -> None:
    layer: Any = sf.nn.ConditionalLinear(3, width, width, dtype=torch.float64)
    x, c = torch.randn(4, 2, 3, width, dtype=torch.float64), labels()
    location, _ = layer.params(x, c)
    for b, k in enumerate(c.tolist()):
        alone = sf.nn.StochasticLinear(width, width, dtype=torch.float64)
        alone.load_state_dict({"weight": layer.weight[k], "bias": layer.bias[k]})
        torch.testing.assert_close(location[b], alone.params(x[b])[0])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_labels_of_any_integer_dtype(dtype: torch.dtype) -> None:
    layer, x = sf.nn.ConditionalLinear(3, 4, 2), torch.randn(4, 4)
    torch.testing.assert_close(layer.params(x, labels().to(dtype)), layer.params(x, labels()))


def test_one_class_is_the_plain_layer() -> None:
    layer: Any = sf.nn.ConditionalConv2d(1, 2, 3, 3)
    x = torch.randn(4, 2, 5, 5)
    alone = sf.nn.StochasticConv2d(2, 3, 3)
    alone.load_state_dict({"weight": layer.weight[0], "bias": layer.bias[0]})
    zeros = torch.zeros(4, dtype=torch.long)
    torch.testing.assert_close(layer.params(x, zeros), alone.params(x))
