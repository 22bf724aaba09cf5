"""The default classifier takes small pictures, larger ones and vectors."""

from __future__ import annotations

import pytest
import torch

from sfumato.errors import SettingError
from sfumato.train import small_cnn


@pytest.mark.parametrize(
    "shape",
    [(1, 4, 4), (1, 8, 8), (3, 7, 5), (1, 28, 28), (3, 32, 32), (3, 33, 33), (3, 96, 64), (12,)],
    ids=str,
)
def test_shapes(shape: tuple[int, ...]) -> None:
    model = small_cnn(shape, 5)
    assert model(torch.zeros(2, *shape)).shape == (2, 5)


def test_every_weight_has_a_gradient() -> None:
    model = small_cnn((1, 8, 8), 3)
    model(torch.randn(4, 1, 8, 8)).square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in model.parameters())


@pytest.mark.parametrize("shape", [(1, 3, 8), (1, 8, 3), (2, 5), (1, 4, 4, 4), ()], ids=str)
def test_errors(shape: tuple[int, ...]) -> None:
    with pytest.raises(SettingError, match="give a model of your own"):
        small_cnn(shape, 2)
