"""The training that `sfumato prune` does, and what it reckons as such."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sfumato.cli.prune.command import PruneOptions
from sfumato.cli.prune.training import Data, Trainer, from_scratch


def test_an_error_is_a_count_of_records(tmp_path: Path) -> None:
    """Single precision would put 1 - 17/20 below 3/20, and refuse a budget that is met."""
    data = known(torch.tensor([0] * 17 + [1] * 3))
    assert data.error(AlwaysFirst(), "validation") == 3 / 20


def test_weights_that_have_changed_are_trained_anew(tmp_path: Path) -> None:
    """A checkpoint of other weights is not taken for what these have learned."""
    data = known(torch.arange(40) % 2)
    trainer = Trainer(PruneOptions(method="stochastic", epochs=1), data, tmp_path)
    found = []
    for value in (0.5, 0.5, -0.5):
        model = Scaled(3)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(value)
        noisy = trainer.noisy(model, lambda _: None)
        found.append(noisy.get_parameter("head.weight").detach())
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_the_batch_stage_is_no_training() -> None:
    trainer = SimpleNamespace(trained_steps=lambda tuned: 100 + tuned, train_for=lambda *_: None)
    rows = [SimpleNamespace(tuned=each) for each in (0, 0, 30, 30)]
    pruned: Any = SimpleNamespace(model=nn.Linear(2, 2), step=2, rows=rows)
    assert from_scratch(trainer, nn.Linear(2, 2), pruned, 0, print)[1] == 130  # type: ignore[arg-type]


def test_from_scratch_nothing_is_left_of_what_was_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not of a parameter either whose module cannot start anew."""
    monkeypatch.setattr(Trainer, "train_for", lambda *_: None)
    pruned: Any = SimpleNamespace(model=Scaled(2), step=0, rows=[SimpleNamespace(tuned=0)])
    with torch.no_grad():
        for parameter in pruned.model.parameters():
            parameter.fill_(7.0)
    data = known(torch.tensor([0, 1]))
    trainer = Trainer(PruneOptions(), data, tmp_path)
    fresh = trainer.fresh(lambda shape, classes: Scaled(5))
    model, _ = from_scratch(trainer, fresh, pruned, 0, lambda _: None)
    assert all(bool((parameter != 7.0).all()) for parameter in model.parameters())
    assert model.get_parameter("scale").tolist() == [1.0, 1.0]


class AlwaysFirst(nn.Module):
    """Gives class 0 for everything."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tensor([[1.0, 0.0]]).expand(len(x), 2)


class Scaled(nn.Module):
    """A layer, and a parameter of its own."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer, self.head = nn.Linear(1, width), nn.Linear(width, 2)
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.scale * self.layer(x))


def known(labels: Tensor) -> Data:
    part = torch.zeros(len(labels), 1), labels
    return Data(part, part, part, ("a", "b"))
