"""Checkpoints are whole or absent, and never of another run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn, optim

from sfumato.errors import OutputError, StoreError
from sfumato.train.checkpoint import load_checkpoint, save_checkpoint
from tests.disk import nearly_full
from tests.train.toys import network, problem, same_state


def stepped() -> tuple[nn.Module, optim.Optimizer]:
    """A network and its Adam after one step."""
    model, (inputs, labels) = network(), problem()
    optimizer = torch.optim.Adam(model.parameters())
    nn.functional.cross_entropy(model(inputs), labels).backward()
    optimizer.step()
    return model, optimizer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "run.checkpoint", 3, *stepped(), "tag", [{"loss": 0.5}])
    return tmp_path / "run.checkpoint"


def load(path: Path, model: nn.Module | None = None, tag: str = "tag") -> Any:
    model = model or network()
    return load_checkpoint(path, model, torch.optim.Adam(model.parameters()), tag)


def test_round_trip(path: Path) -> None:
    model = network(seed=1)
    optimizer = torch.optim.Adam(model.parameters())
    assert load_checkpoint(path, model, optimizer, "tag") == (3, [{"loss": 0.5}])
    whole, stepped_optimizer = stepped()
    assert same_state(model, whole)
    for mine, other in zip(
        optimizer.state_dict()["state"].values(),
        stepped_optimizer.state_dict()["state"].values(),
        strict=True,
    ):
        assert all(torch.equal(mine[key], other[key]) for key in mine)


def test_no_file_is_no_epoch(tmp_path: Path) -> None:
    assert load(tmp_path / "none.checkpoint") == (0, [])
    assert load_checkpoint(None, network(), None, "tag") == (0, [])


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9, 0.999])
def test_truncated(path: Path, kept: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(StoreError, match=r"run\.checkpoint is damaged .*delete it"):
        load(path)


def test_flipped_bytes(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for place in range(0, len(content), 64):
        content[place] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(StoreError, match="delete it"):
        load(path)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, torch.zeros(3), "text"], ids=str)
def test_a_file_of_something_else(path: Path, content: Any) -> None:
    torch.save(content, path)
    with pytest.raises(StoreError, match="delete it"):
        load(path)


def test_of_other_settings(path: Path) -> None:
    with pytest.raises(StoreError, match="belongs to a run with other settings"):
        load(path, tag="other")


def test_of_another_network(path: Path) -> None:
    with pytest.raises(StoreError, match="delete it"):
        load(path, nn.Linear(3, 2))


class Bomb:
    """An object that runs code when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def test_code_in_a_checkpoint_is_not_run(path: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    torch.save({"tag": "tag", "epoch": 1, "model": Bomb(mark), "optimizer": None}, path)
    with pytest.raises(StoreError):
        load(path)
    assert not mark.exists()


def test_a_save_that_fails_leaves_the_last_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Any, part: Any) -> None:
        part.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OutputError, match="disk full"):
        save_checkpoint(path, 4, *stepped(), "tag")
    monkeypatch.undo()
    assert load(path) == (3, [{"loss": 0.5}])
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_disk_that_is_full_in_the_middle(path: Path) -> None:
    # torch makes a RuntimeError without a reason of what the system says.
    full = pytest.raises(OutputError, match=r"disk full while writing .*run\.checkpoint")
    with full, nearly_full(2000):
        save_checkpoint(path, 4, nn.Linear(100, 100), None, "tag")
    assert load(path) == (3, [{"loss": 0.5}])
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_an_error_that_is_not_of_the_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def odd(*_: Any) -> None:
        raise RuntimeError("not of the disk")

    monkeypatch.setattr(torch, "save", odd)
    with pytest.raises(RuntimeError, match="not of the disk"):
        save_checkpoint(path, 4, *stepped(), "tag")
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
