"""Shapes at random: whatever torch takes, our layers take, and give the same shape."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import sfumato as sf
from tests.nn.cases import CONDITIONAL, STOCHASTIC

PLAIN = {1: torch.nn.Conv1d, 2: torch.nn.Conv2d, 3: torch.nn.Conv3d}
few = settings(max_examples=40)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[int, dict[str, Any], torch.Tensor]:
    """Spatial axes, the arguments of a convolution, and an input that it takes."""
    spatial = draw(st.integers(1, 3))
    groups = draw(st.integers(1, 2))

    def each(low: int, high: int) -> tuple[int, ...]:
        return draw(st.tuples(*[st.integers(low, high)] * spatial))

    arguments = {
        "in_channels": groups * draw(st.integers(1, 2)),
        "out_channels": groups * draw(st.integers(1, 2)),
        "kernel_size": each(1, 3),
        "stride": each(1, 2),
        "padding": each(0, 2),
        "dilation": each(1, 2),
        "groups": groups,
        "bias": draw(st.booleans()),
        "padding_mode": draw(st.sampled_from(["zeros", "replicate", "circular", "reflect"])),
    }
    sizes = (draw(st.integers(5, 7)) for _ in range(spatial))
    x = torch.randn(draw(st.integers(1, 4)), arguments["in_channels"], *sizes)
    return spatial, arguments, x


@few
@given(convolutions())
def test_convolutions(case: tuple[int, dict[str, Any], torch.Tensor]) -> None:
    spatial, arguments, x = case
    plain = PLAIN[spatial](**arguments)
    layer = STOCHASTIC[spatial](**arguments)
    expected = plain(x)
    assert layer(x).shape == expected.shape
    with torch.no_grad():
        for ours, theirs in ((layer.weight, plain.weight), (layer.bias, plain.bias)):
            if ours is not None and theirs is not None:
                ours[: len(theirs)] = theirs
    torch.testing.assert_close(layer.params(x)[0], plain(x))


@few
@given(convolutions(), st.integers(1, 4), st.randoms())
def test_conditional_convolutions(
    case: tuple[int, dict[str, Any], torch.Tensor], classes: int, chance: Any
) -> None:
    """Each record under its own class, as a stochastic layer of that class alone has it."""
    spatial, arguments, x = case
    layer = CONDITIONAL[spatial](classes, **arguments)
    labels = torch.tensor([chance.randrange(classes) for _ in x])
    location, scale = layer.params(x, labels)
    for b, c in enumerate(labels.tolist()):
        alone = STOCHASTIC[spatial](**arguments)
        alone.load_state_dict({k: v[c] for k, v in layer.state_dict().items()})
        torch.testing.assert_close(
            (location[b], scale[b]), tuple(p[0] for p in alone.params(x[b : b + 1]))
        )


@few
@given(
    st.lists(st.integers(0, 4), max_size=3),
    st.integers(1, 6),
    st.integers(1, 6),
    st.booleans(),
)
def test_linear(lead: list[int], inputs: int, outputs: int, bias: bool) -> None:
    x = torch.randn(*lead, inputs)
    layer = sf.nn.StochasticLinear(inputs, outputs, bias)
    assert layer(x).shape == torch.nn.Linear(inputs, outputs)(x).shape


@few
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(0, 3), st.integers(1, 3))
def test_additive_noise(shape: list[int], batch: int, classes: int) -> None:
    x = torch.randn(batch, *shape)
    assert sf.nn.AdditiveNoise(shape)(x).shape == x.shape
    layer = sf.nn.ConditionalAdditiveNoise(classes, shape)
    assert layer(x, torch.zeros(batch, dtype=torch.long)).shape == x.shape
    assert layer(x, sf.nn.SoftSelection(classes, tuple(shape))).shape == x.shape
    assert layer(x, torch.zeros(batch, *shape[1:], dtype=torch.long)).shape == x.shape


@few
@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 3), st.sampled_from(["", "C", "CL"]))
def test_soft_selections_add_up(length: int, batch: int, channels: int, form: str) -> None:
    """Equal shares of equal kernels are one kernel."""
    shape = tuple({"C": channels, "L": length}[axis] for axis in form)
    layer = sf.nn.ConditionalConv1d(3, channels, 2, 1)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(parameter[:1].expand_as(parameter))
    x = torch.randn(batch, channels, length)
    soft = layer.params(x, sf.nn.SoftSelection(3, shape))
    torch.testing.assert_close(soft, layer.params(x, torch.zeros(batch, dtype=torch.long)))
