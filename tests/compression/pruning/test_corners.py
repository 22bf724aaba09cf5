"""Labels of other types, layers of two names, foreign folders, a full disk, a bad last training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sfumato.compression import Budget
from sfumato.errors import DataError, OutputError, StoreError
from sfumato.train import Recipe, seeded
from tests.compression.pruning.runs import TRAIN, VALIDATION, run
from tests.disk import nearly_full


class Named(nn.Module):
    """Layers that are attributes and stand in a list as well."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 6)
        self.layers = nn.ModuleList([self.first, self.second])
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.relu(layer(x))
        return self.head(x)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.uint8])
def test_labels_of_every_whole_type(dtype: torch.dtype) -> None:
    train, validation = ((x, y.to(dtype)) for x, y in (TRAIN, VALIDATION))
    done = run(noisy=False, train=train, validation=validation)
    assert done.rows == run(noisy=False).rows


def test_labels_that_are_none() -> None:
    with pytest.raises(DataError, match="whole numbers for labels"):
        run(noisy=False, train=(TRAIN[0], TRAIN[1] > 0))
    with pytest.raises(DataError, match="training labels are a tensor"):
        run(noisy=False, train=(TRAIN[0], TRAIN[1].tolist()))


def test_a_layer_of_two_names(tmp_path: Path) -> None:
    with seeded("two names"):
        model = Named()
    budget = Budget(multiplications=60)
    done = run(tmp_path, noisy=False, model=model, budget=budget)
    assert done.met
    again = run(tmp_path, noisy=False, model=model, budget=budget)
    x = VALIDATION[0]
    assert torch.equal(again.model(x), done.model(x))
    assert again.model.get_submodule("layers.0") is again.model.get_submodule("first")


@pytest.mark.parametrize("content", ['{"schema": 3}', "[1]", '{"tag": 5}'])
def test_a_folder_of_something_else(content: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(StoreError, match="is not of a run of pruning"):
        run(tmp_path)
    assert (tmp_path / "run.json").read_text() == content


def test_a_full_disk(tmp_path: Path) -> None:
    with nearly_full(500), pytest.raises(OutputError, match=r"disk full while writing .*steps"):
        run(tmp_path)
    assert run(tmp_path).met


def test_a_last_training_that_spoils_the_network_does_not_meet_the_budget() -> None:
    """The budget's error is that of the network that is given back."""
    spoilt: dict[str, Any] = {"finish": Recipe(epochs=3, min_steps=0, lr=50.0), "noisy": False}
    within = run(noisy=False, budget=Budget(multiplications=40, error=0.3))
    beyond = run(budget=Budget(multiplications=40, error=0.3), **spoilt)
    assert within.met and within.error <= 0.3
    assert beyond.error > 0.3 and not beyond.met
