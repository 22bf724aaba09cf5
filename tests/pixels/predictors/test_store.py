"""A predictor on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sfumato.errors import DataError, SettingError, StoreError
from sfumato.pixels.predictors import (
    KernelInterpolation,
    KernelUNet,
    UNet,
    load_predictor,
    save_predictor,
)
from sfumato.pixels.tasks import Depth, Segmentation

TASK = Segmentation(3, ["road", "car", "sky"])


@pytest.mark.parametrize("kind", [UNet, KernelUNet, KernelInterpolation])
def test_it_predicts_as_before(kind: Any, tmp_path: Path) -> None:
    settings = {"reach": 0.7} if kind is KernelInterpolation else {"width": 4, "depth": 1}
    predictor = kind(2, TASK, **settings)
    path = save_predictor(predictor, 2, TASK, tmp_path / "net.safetensors")
    again, task = load_predictor(path)
    mask = (torch.rand(1, 1, 9, 8) < 0.3).float()
    given = torch.rand(1, 2, 9, 8), torch.rand(1, 3, 9, 8) * mask, mask
    assert torch.equal(again(*given), predictor.eval()(*given))
    assert task.settings() == TASK.settings() and not again.training


def test_what_is_no_whole_predictor_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    with pytest.raises(StoreError, match="there is no"):
        load_predictor(path)
    save_predictor(UNet(1, Depth(), width=4, depth=1), 1, Depth(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    with pytest.raises(StoreError, match="damaged"):
        load_predictor(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(StoreError, match="schema"):
        load_predictor(path)
    path.write_bytes(whole.replace(b"KernelUNet", b"UNet").replace(b"UNet", b"VNet"))
    with pytest.raises(StoreError, match="cannot be built"):
        load_predictor(path)


def test_one_of_ones_own_takes_the_function_that_makes_it(tmp_path: Path) -> None:
    net = nn.Conv2d(1, 1, 1)
    path = save_predictor(net, 1, Depth(), tmp_path / "net")
    with pytest.raises(SettingError, match="predictor of your own"):
        load_predictor(path)
    again, task = load_predictor(path, lambda channels, task: nn.Conv2d(channels, task.outputs, 1))
    assert torch.equal(next(again.parameters()), net.weight) and isinstance(task, Depth)
    with pytest.raises(StoreError, match="cannot be built"):
        load_predictor(path, lambda channels, task: nn.Conv2d(channels, 7, 1))


def test_nan_is_not_saved(tmp_path: Path) -> None:
    predictor = KernelInterpolation(1, Depth())
    nn.init.constant_(predictor.log_reach, float("nan"))
    with pytest.raises(DataError, match="log_reach"):
        save_predictor(predictor, 1, Depth(), tmp_path / "net")
