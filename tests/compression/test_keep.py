"""A layer that is to be kept must be there."""

from __future__ import annotations

import pytest
import torch

from sfumato.compression import Wiring
from sfumato.errors import SettingError
from sfumato.train import mlp


def test_a_layer_to_keep_that_is_not_there() -> None:
    model, few = mlp((6,), 3), torch.rand(4, 6)
    with pytest.raises(SettingError, match="keep='3x': the network has no such layer"):
        Wiring(model, few, ["1", "3x"])
    assert list(Wiring(model, few, ["1"]).groups) == ["3"]
