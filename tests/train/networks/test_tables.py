"""The networks of the source documents' tables have the sizes that the tables count with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import nn

from sfumato.errors import SettingError
from sfumato.train import lenet5, mlp, vgg16, vgg_convolutional


def size(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_lenet_has_caffes_size() -> None:
    assert size(lenet5()) == 431_080
    # the paper's pruned shape, 2.35 % of it
    assert size(lenet5(widths=(2, 7, 79))) == 10_136
    assert lenet5()(torch.rand(2, 1, 28, 28)).shape == (2, 10)


def test_mlp() -> None:
    model = mlp((1, 28, 28), 10, (1024, 1024, 256))
    assert size(model) == 785 * 1024 + 1025 * 1024 + 1025 * 256 + 257 * 10
    assert model(torch.rand(3, 1, 28, 28)).shape == (3, 10)
    assert isinstance(model[-1], nn.Linear)  # type: ignore[index]


def test_vgg() -> None:
    assert sum(isinstance(m, nn.Conv2d) for m in vgg16().modules()) == 13
    assert sum(isinstance(m, nn.Conv2d) for m in vgg_convolutional().modules()) == 16
    # 13 convolutions and linear layers 512-512-10, without batch norm's own
    weights = [m.weight.numel() for m in vgg16().modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert sum(weights) == 14_710_464 + 2 * 512 * 512 + 5120
    for make, classes in ((vgg16, 10), (vgg_convolutional, 100)):
        model = make(width=0.125).eval()
        assert model(torch.rand(2, 3, 32, 32)).shape == (2, classes)


@pytest.mark.parametrize(
    ("make", "arguments", "says"),
    [
        (lenet5, {"shape": (1, 8, 8)}, "16 x 16"),
        (lenet5, {"widths": (20, 50)}, "three hidden widths"),
        (mlp, {"shape": (0,), "num_classes": 2}, "above 0"),
        (vgg16, {"shape": (3, 28, 28)}, "multiples of 32"),
        (vgg_convolutional, {"width": 0.0}, "width"),
    ],
)
def test_other_sizes(make: Callable[..., nn.Module], arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingError, match=says):
        make(**arguments)


def test_any_sequence_is_a_shape() -> None:
    shape: Sequence[int] = torch.Size([1, 28, 28])
    assert size(lenet5(shape)) == size(lenet5())
