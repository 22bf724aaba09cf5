"""A layer that is to be kept must be there."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import nn

from sfumato.compression import Wiring
from sfumato.errors import SettingError
from sfumato.train import mlp


def test_a_layer_to_keep_that_is_not_there() -> None:
    model, few = mlp((6,), 3), torch.rand(4, 6)
    with pytest.raises(SettingError, match="keep='3x': the network has no such layer"):
        Wiring(model, few, ["1", "3x"])
    assert list(Wiring(model, few, ["1"]).groups) == ["3"]


def test_what_holds_layers_keeps_them() -> None:
    features = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU())
    model = nn.Sequential(OrderedDict(features=features, mid=nn.Linear(4, 3), head=nn.Linear(3, 2)))
    few = torch.rand(4, 6)
    assert list(Wiring(model, few).groups) == ["features.0", "features.2", "mid"]
    assert list(Wiring(model, few, ["features"]).groups) == ["mid"]
    with pytest.raises(SettingError, match=r"keep='features.1'.* with neurons"):
        Wiring(model, few, ["features.1"])  # a rectifier has none of its own
