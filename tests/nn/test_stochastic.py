"""Stochastic layers against loops, and their location against the plain torch layer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

import sfumato as sf
from sfumato.errors import DataError
from sfumato.noise import NoiseLaw
from tests.nn import reference
from tests.nn.cases import LAWS, Conv, convs

PLAIN = {1: torch.nn.Conv1d, 2: torch.nn.Conv2d, 3: torch.nn.Conv3d}
every_conv = pytest.mark.parametrize("conv", convs.values(), ids=list(convs))
every_law = pytest.mark.parametrize("law", LAWS.values(), ids=list(LAWS))


@every_conv
def test_convolution_against_loops(conv: Conv) -> None:
    layer, x = conv.stochastic(noise=LAWS["gaussian"]), conv.records(2)
    how = reference.geometry(layer)
    raw = [reference.convolved(one, layer.weight, layer.bias, how) for one in x]
    torch.testing.assert_close(layer.params(x), reference.batch(raw, 0.1))


@every_conv
def test_the_location_is_the_plain_convolution(conv: Conv) -> None:
    layer, x = conv.stochastic(), conv.records()
    plain = PLAIN[len(conv.size)](
        conv.inputs, conv.outputs, conv.kernel, dtype=torch.float64, **conv.more
    )
    with torch.no_grad():
        plain.weight.copy_(layer.weight[: conv.outputs])
        if plain.bias is not None:
            plain.bias.copy_(layer.bias[: conv.outputs])
    torch.testing.assert_close(layer.params(x)[0], plain(x))


@every_law
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
def test_linear_against_loops(law: NoiseLaw, bias: bool, lead: tuple[int, ...]) -> None:
    layer = sf.nn.StochasticLinear(4, 3, bias, noise=law, dtype=torch.float64)
    x, eps = torch.randn(*lead, 4, dtype=torch.float64), torch.randn(*lead, 3, dtype=torch.float64)
    rows = x.reshape(-1, 4)
    raw = [reference.product_of(row, layer.weight, layer.bias) for row in rows]
    location, scale = (t.reshape(*lead, 3) for t in reference.batch(raw, 0.1))
    torch.testing.assert_close(layer.params(x), (location, scale))
    torch.testing.assert_close(layer(x, eps), location + scale * eps)


@every_law
def test_additive_noise(law: NoiseLaw) -> None:
    layer = sf.nn.AdditiveNoise((2, 3), noise=law).double()
    torch.nn.init.normal_(layer.weight)
    x, eps = (torch.randn(4, 2, 3, dtype=torch.float64) for _ in range(2))
    scale = reference.softplus(layer.weight[1]) + 0.1
    torch.testing.assert_close(layer(x, eps), x + layer.weight[0] + scale * eps)


@pytest.mark.parametrize(
    "make", [lambda: sf.nn.StochasticLinear(12, 40), lambda: sf.nn.StochasticConv1d(4, 40, 3)]
)
def test_kernels_start_as_those_of_torch(make: Callable[[], torch.nn.Module]) -> None:
    limit = 1 / 12**0.5  # one over the root of the number of inputs
    for parameter in make().parameters():
        assert parameter.abs().max() <= limit
        assert parameter.std().item() == pytest.approx(limit / 3**0.5, rel=0.2)


def test_one_fused_weight() -> None:
    layer = sf.nn.StochasticConv2d(6, 4, (3, 2), groups=2)
    assert layer.weight.shape == (2 * 4, 3, 3, 2)
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]
    assert sf.nn.StochasticLinear(5, 3, bias=False).bias is None


def test_without_bias_a_record_of_zeros_gets_softplus_of_zero() -> None:
    location, scale = sf.nn.StochasticLinear(3, 2, bias=False).params(torch.zeros(1, 3))
    assert not location.any()
    torch.testing.assert_close(scale, F.softplus(torch.zeros(1, 2)) + 1e-3)


@every_conv
def test_unbatched_input(conv: Conv) -> None:
    layer, x = conv.stochastic(), conv.records(1)
    torch.testing.assert_close(layer.params(x[0])[1], layer.params(x)[1][0])


@pytest.mark.parametrize("assign", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_plain_state_dict_in_another_dtype(assign: bool, bias: bool, dtype: torch.dtype) -> None:
    """Assigned, the whole kernel takes its dtype; copied, the layer's own values lose nothing."""
    layer, plain = sf.nn.StochasticLinear(4, 3), torch.nn.Linear(4, 3, bias, dtype=dtype)
    own = {name: values.detach().clone() for name, values in layer.named_parameters()}
    layer.load_state_dict(plain.state_dict(), assign=assign)
    assert {p.dtype for p in layer.parameters()} == {dtype if assign else torch.float32}
    assert torch.equal(layer.weight[:3], plain.weight.to(layer.weight.dtype))
    for name, values in layer.named_parameters():
        assert torch.equal(values[3:], own[name][3:].to(values.dtype))
    assert layer(torch.zeros(2, 4, dtype=layer.weight.dtype)).isfinite().all()


@pytest.mark.parametrize("assign", [True, False])
@pytest.mark.parametrize("nested", [True, False])
def test_a_plain_state_dict_has_no_scale_for_a_layer_without_values(
    assign: bool, nested: bool
) -> None:
    wrap = torch.nn.Sequential if nested else lambda module: module
    layer, plain = sf.nn.StochasticConv2d(2, 3, 3, device="meta"), torch.nn.Conv2d(2, 3, 3)
    with pytest.raises(RuntimeError, match=r"on the meta device.*materialise it first"):
        wrap(layer).load_state_dict(wrap(plain).state_dict(), assign=assign)
    assert layer.weight.is_meta
    layer.to_empty(device="cpu").reset_parameters()
    wrap(layer).load_state_dict(wrap(plain).state_dict(), assign=assign)
    assert layer(torch.zeros(1, 2, 4, 4)).isfinite().all()
    own = sf.nn.StochasticConv2d(2, 3, 3).state_dict()
    sf.nn.StochasticConv2d(2, 3, 3, device="meta").load_state_dict(own, assign=True)


INTEGERS: list[tuple[Callable[[], torch.nn.Module], tuple[int, ...]]] = [
    (lambda: sf.nn.BayesianLinear(3, 2), (4, 3)),
    (lambda: sf.nn.BayesianLinear(3, 2, estimator="flipout"), (4, 3)),
    (lambda: sf.nn.BayesianConv2d(3, 2, 1), (4, 3, 2, 2)),
    (lambda: sf.nn.StochasticSVM(3, 2), (4, 3)),
    (lambda: sf.nn.BayesianSVM(3, 2, "rbf"), (4, 3)),
    (lambda: sf.nn.RandomFourierFeatures(3), (4, 3)),
    (lambda: sf.nn.StochasticLSTM(3, 2), (4, 1, 3)),
    (lambda: sf.nn.StochasticTransformerEncoderLayer(3, 1), (4, 1, 3)),
]


@pytest.mark.parametrize(("make", "shape"), INTEGERS)
def test_layers_read_real_numbers(
    make: Callable[[], torch.nn.Module], shape: tuple[int, ...]
) -> None:
    layer = make()
    with pytest.raises(DataError, match=r"reads real numbers, not torch\.uint8: .*x / 255"):
        layer(torch.ones(shape, dtype=torch.uint8))
    with pytest.raises(DataError, match="reads a tensor, not list"):
        layer([1.0, 2.0, 3.0])
    with torch.autocast("cpu", torch.bfloat16):  # where dtypes may be mixed
        for dtype in (torch.float32, torch.bfloat16):
            layer(torch.ones(shape, dtype=dtype))
