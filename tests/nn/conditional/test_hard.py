"""A hard selection is exact: each record passes through its own class's kernels."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import sfumato as sf
from sfumato.nn.conditional import hard, segments
from sfumato.nn.conditional.product import product
from sfumato.nn.conditional.stacked import fresh
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


def ways(layer: Any, x: Tensor, c: Tensor) -> dict[str, list[Tensor]]:
    """The raw values and all gradients, by each way there is of computing them."""
    op, weight, bias = layer.operator, layer.weight, layer.bias
    parts, leaf = segments.segments(c, len(weight)), x.clone().requires_grad_()
    raw = {
        "a kernel per record": hard._gathered(op, leaf, weight, bias, c),
        "plain operations": segments.raw_by_segment(op, leaf, weight, bias, parts),
        "one node": segments.fused_by_segment(op, leaf, weight, bias, parts),
    }
    wanted, upstream = [leaf, *layer.parameters()], torch.randn_like(raw["one node"])
    return {n: [h, *torch.autograd.grad(h, wanted, upstream)] for n, h in raw.items()}


@every_conv
@pytest.mark.parametrize("chosen", LABELS)
def test_all_ways_of_computing_agree(conv: Conv, chosen: list[int]) -> None:
    found = ways(conv.conditional(4), conv.records(len(chosen)), torch.tensor(chosen))
    for way in found.values():
        torch.testing.assert_close(way, found["plain operations"])


@pytest.mark.parametrize("shape", [(70,), (2, 3, 70)])
@pytest.mark.parametrize("chosen", LABELS)
def test_all_ways_of_computing_agree_on_vectors(shape: tuple[int, ...], chosen: list[int]) -> None:
    layer = sf.nn.ConditionalLinear(4, 70, 60, dtype=torch.float64)
    x = torch.randn(len(chosen), *shape, dtype=torch.float64)
    found = ways(layer, x, torch.tensor(chosen))
    for way in found.values():
        torch.testing.assert_close(way, found["plain operations"])


@pytest.mark.parametrize("size", [(512, 640, 3), (511, 640, 3), (640, 512, 700)])
def test_product(size: tuple[int, int, int]) -> None:
    m, n, k = size
    a, b = torch.randn(m, k), torch.randn(n, k)
    torch.testing.assert_close(product(a, b), a @ b.t(), rtol=1e-4, atol=1e-4)
    assert product(a, b).is_contiguous()


@pytest.mark.parametrize("zeros", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(3, 5), (40, 300, 300)])
def test_fresh_memory(shape: tuple[int, ...], dtype: torch.dtype, zeros: bool) -> None:
    found = fresh(torch.ones(shape, dtype=dtype), zeros=zeros)
    assert (found.shape, found.dtype, found.is_contiguous()) == (shape, dtype, True)
    assert not zeros or not found.any()
    found.fill_(1.0)
    assert bool((found == 1).all())


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


@pytest.mark.parametrize("steps", [(), (3,)])
@pytest.mark.parametrize("width", [4, 100])
def test_labels_that_cannot_be_read(width: int, steps: tuple[int, ...]) -> None:
    """While a graph is traced: small matrices are copied to each record, large ones act on all."""
    torch.compiler.reset()
    layer = sf.nn.ConditionalLinear(3, width, width)
    x, eps = torch.randn(4, *steps, width), torch.randn(4, *steps, width)
    assert hard._large_matrices(layer.operator, layer.weight) == (width == 100)
    graph = torch.compile(layer, fullgraph=True, backend="aot_eager")
    found, wanted = graph(x, labels(), eps), layer(x, labels(), eps)
    torch.testing.assert_close(found, wanted)
    upstream = torch.randn_like(wanted)
    torch.testing.assert_close(
        torch.autograd.grad(found, layer.weight, upstream),
        torch.autograd.grad(wanted, layer.weight, upstream),
    )

    def one(*arguments: Tensor) -> Tensor:
        return layer(*(value.unsqueeze(0) for value in arguments)).squeeze(0)

    torch.testing.assert_close(torch.vmap(one)(x, labels(), eps), wanted)
