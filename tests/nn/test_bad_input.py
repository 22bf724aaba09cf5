"""Bad input: one clear line that names what is wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import sfumato as sf
from sfumato.errors import DataError, SettingError
from tests.nn.cases import NAMES, a_layer

FULL, NO_CLASS = torch.ones, torch.zeros
PICTURES = torch.zeros(4, 2, 5, 5)
BOOL = torch.bool

# A selection for ConditionalConv2d(3 classes, 2 channels) on PICTURES, and what is said of it.
SELECTIONS: dict[str, tuple[Any, str]] = {
    "labels": (torch.tensor([0, 1, 2, 0]), ""),
    "label out of range": (torch.tensor([0, 1, 3, 0]), r"labels must lie in 0\.\.2, but 0\.\.3"),
    "label negative": (torch.tensor([0, -1, 2, 0]), r"labels must lie in 0\.\.2, but -1\.\.2"),
    "too few labels": (torch.tensor([0, 1]), r"labels must be \[4\] or a class map .* not \[2\]"),
    "one label for all": (torch.tensor(1), r"labels must be \[4\].* not \[\]"),
    "labels in a column": (torch.tensor([[0], [1], [2], [0]]), r"not \[4, 1\]"),
    "labels as floats": (torch.ones(4), r"labels must be integers, not torch\.float32"),
    "class map": (FULL(4, 5, 5, dtype=torch.long), ""),
    "class map out of range": (
        FULL(4, 5, 5, dtype=torch.long) * 255,
        r"classes of the map must lie in 0\.\.2, but 255\.\.255 occur; give unlabelled pixels",
    ),
    "class map of another size": (FULL(4, 4, 5, dtype=torch.long), r"π is \[4, 5\] in space where"),
    "mask": (FULL(4, 3, 5, 5, dtype=BOOL), ""),
    "mask of another size": (FULL(4, 3, 5, 4, dtype=BOOL), r"must be \[5, 5\]"),
    "mask with unclaimed pixels": (
        NO_CLASS(4, 3, 5, 5, dtype=BOOL),
        r"the mask leaves pixels without a class: give them one with sfumato\.nn\.add_background",
    ),
    "mask of too many classes": (FULL(4, 4, 5, 5, dtype=BOOL), r"a mask or π must be \[4, 3\]"),
    "mask of integers": (FULL(4, 3, 5, 5, dtype=torch.long), r"labels must be \[4\]"),
    "pi": (FULL(4, 3), ""),
    "pi for one": (FULL(1, 3), ""),
    "pi above 1": (
        FULL(4, 3) * 1.5,
        r"the values of π must lie in \[0, 1\], but 1\.5\.\.1\.5 occur",
    ),
    "pi below 0": (FULL(4, 3) - 2, r"the values of π must lie in \[0, 1\], but -1\.\.-1 occur"),
    "pi with NaN": (FULL(4, 3) * float("nan"), r"must lie in \[0, 1\], but nan\.\.nan occur"),
    "pi for another batch": (FULL(2, 3), r"a mask or π must be \[4, 3\].* not \[2, 3\]"),
    "pi of too few classes": (FULL(4, 2), r"a mask or π must be \[4, 3\].* not \[4, 2\]"),
    "pi with wrong channels": (
        FULL(4, 3, 4, 5, 5),
        "π has 4 channels, but the layer's input has 2",
    ),
    "pi with a missing axis": (FULL(4, 3, 5), r"not \[4, 3, 5\]"),
    "pi with an axis more": (FULL(4, 3, 2, 5, 5, 1), r"not \[4, 3, 2, 5, 5, 1\]"),
    "soft": (sf.nn.SoftSelection(3, (2, 5, 5)), ""),
    "soft of other classes": (
        sf.nn.SoftSelection(4),
        "the selection has 4 classes, but the layer has 3",
    ),
    "soft with an axis more": (
        sf.nn.SoftSelection(3, (2, 5, 5, 5)),
        r"a selection of shape \(2, 5, 5, 5\) does not fit records with 2 spatial axes",
    ),
    "soft with an axis less": (sf.nn.SoftSelection(3, (2, 5)), r"shape \(2, 5\) does not fit"),
    "soft with wrong channels": (sf.nn.SoftSelection(3, (4,)), "π has 4 channels"),
    "soft of another size": (sf.nn.SoftSelection(3, (2, 5, 4)), r"π is \[5, 4\] in space"),
    "soft on the output, wrong channels": (
        sf.nn.SoftSelection(3, (2,), place="output"),
        "π has 2 channels, but the layer's output has 6",
    ),
    "soft on the output, wrong size": (
        sf.nn.SoftSelection(3, (6, 5, 5), place="output"),
        r"π is \[5, 5\] in space where it must be \[3, 3\]",
    ),
    "a list": ([0, 1, 2, 0], "a selection is a tensor of labels .* not list"),
    "nothing": (None, "or a SoftSelection, not NoneType"),
}


@pytest.mark.parametrize("case", SELECTIONS)
def test_selections(case: str) -> None:
    selection, message = SELECTIONS[case]
    layer = sf.nn.ConditionalConv2d(3, 2, 6, 3)
    if not message:
        assert layer(PICTURES, selection).shape == (4, 6, 3, 3)
        return
    with pytest.raises(DataError, match=message) as raised:
        layer(PICTURES, selection)
    assert "\n" not in str(raised.value)
    with pytest.raises(DataError):
        layer.params(PICTURES, selection)


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (FULL(4, 3, 2), ""),
        (FULL(4, 3, 4), r"π \[4\] does not fit records \[2\]"),
        (torch.tensor([0, 1, 2, 5]), r"labels must lie in 0\.\.2"),
        (torch.tensor([0, 1]), r"labels must be \[4\], not \[2\]"),
        (sf.nn.SoftSelection(3, (2, 2)), "does not fit records with 0 spatial axes"),
    ],
)
def test_selections_of_additive_noise(selection: Any, message: str) -> None:
    layer = sf.nn.ConditionalAdditiveNoise(3, (2,))
    if not message:
        assert layer(torch.zeros(4, 2), selection).shape == (4, 2)
        return
    with pytest.raises(DataError, match=message):
        layer(torch.zeros(4, 2), selection)


@pytest.mark.parametrize("name", NAMES)
def test_channels(name: str) -> None:
    layer, (x, *rest) = a_layer(name)
    axis = 1 if "Conv" in name else -1
    for wrong in (x.narrow(axis, 0, 1), torch.cat([x, x], axis)):
        with pytest.raises(DataError, match=f"{name} was made for .*{wrong.shape[axis]}"):
            layer(wrong, *rest)


@pytest.mark.parametrize("name", NAMES)
def test_axes(name: str) -> None:
    layer, (x, *rest) = a_layer(name)
    for wrong in (torch.zeros(()), torch.zeros(4), x.unsqueeze(-1).unsqueeze(-1)):
        with pytest.raises(DataError, match=f"{name} (needs an input of|was made for)"):
            layer(wrong, *rest)


def test_a_conditional_layer_needs_a_batch_axis() -> None:
    with pytest.raises(DataError, match=r"needs an input of 4 axes \[B, C, \.\.\.\], not"):
        sf.nn.ConditionalConv2d(3, 2, 6, 3)(PICTURES[0], torch.tensor([1]))
    with pytest.raises(DataError, match=r"needs an input of \[B, \.\.\., in\], not \[8\]"):
        sf.nn.ConditionalLinear(3, 8, 6)(torch.zeros(8), torch.tensor([1]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("change", [lambda e: e[:1], lambda e: e[None], lambda e: e[..., :1]])
def test_eps_has_the_shape_of_the_sample(name: str, change: Callable[[Tensor], Tensor]) -> None:
    layer, arguments = a_layer(name)
    eps = torch.randn_like(layer(*arguments))
    with pytest.raises(DataError, match="eps must have the shape"):
        layer(*arguments, change(eps))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
def test_additive_noise_needs_real_numbers(dtype: torch.dtype) -> None:
    with pytest.raises(DataError, match=r"not to torch\.\w+: convert the records first"):
        sf.nn.AdditiveNoise((2,))(torch.ones(4, 2, dtype=dtype))


SETTINGS: list[tuple[Callable[[], object], str]] = [
    (lambda: sf.nn.StochasticLinear(0, 3), "in_features must be at least 1, not 0"),
    (lambda: sf.nn.StochasticLinear(3, -1), "out_features must be at least 1"),
    (lambda: sf.nn.ConditionalLinear(0, 3, 3), "num_classes must be at least 1"),
    (lambda: sf.nn.StochasticConv2d(0, 3, 3), "in_channels must be at least 1"),
    (lambda: sf.nn.StochasticConv2d(3, 0, 3), "out_channels must be at least 1"),
    (lambda: sf.nn.StochasticConv2d(3, 3, 3, groups=0), "groups must be at least 1"),
    (lambda: sf.nn.StochasticConv2d(4, 3, 3, groups=2), "groups = 2 must divide in_channels = 4"),
    (lambda: sf.nn.StochasticConv2d(3, 4, 3, groups=2), "and out_channels = 4"),
    (lambda: sf.nn.StochasticConv2d(3, 4, (3, 3, 3)), r"kernel_size needs 1 or 2 numbers"),
    (lambda: sf.nn.StochasticConv1d(3, 4, 3, stride=(1, 1)), "stride needs 1 or 1 numbers"),
    (lambda: sf.nn.StochasticConv2d(3, 4, 3, padding="full"), "unknown padding 'full'"),
    (lambda: sf.nn.StochasticConv2d(3, 4, 3, 2, "same"), "padding='same' needs stride 1"),
    (lambda: sf.nn.StochasticConv2d(3, 4, 3, padding_mode="mirror"), "unknown padding_mode"),
    (lambda: sf.nn.ConditionalConv2d(0, 3, 4, 3), "num_classes must be at least 1"),
    (lambda: sf.nn.ConditionalAdditiveNoise(0, (3,)), "num_classes must be at least 1"),
    (lambda: sf.nn.AdditiveNoise(()), "shape is that of one record, with at least one axis"),
    (lambda: sf.nn.AdditiveNoise((3, 0)), r"shape\[1\] must be at least 1, not 0"),
    (lambda: sf.noise.Gaussian(0.0), "min_scale must be above 0"),
    (lambda: sf.noise.Laplace(-1.0), "min_scale must be above 0"),
]


@pytest.mark.parametrize(("make", "message"), SETTINGS)
def test_settings(make: Callable[[], object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        make()
