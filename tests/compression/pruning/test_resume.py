"""A run that was killed ends as one that was not, and never goes on with another's files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from sfumato.compression import Budget, Distillation, Pruned, Taylor, collapse
from sfumato.errors import StoreError
from tests.compression.pruning import runs
from tests.compression.pruning.runs import FINISH, RECIPE, TRAIN, run, trained


class Interrupted(Exception):
    """Stands for Ctrl-C."""


def same(one: Pruned, other: Pruned) -> bool:
    states = one.model.state_dict(), other.model.state_dict()
    equal = all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    return equal and one.rows == other.rows and one.error == other.error


def files(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*"))


def finished(whole: Path, other: Path, first: int, save_every: int = 1) -> None:
    """Go on in `other`, from step `first` on, and end as the run in `whole` did."""
    calls: list[dict[str, Any]] = []
    wanted = run(whole, finish=FINISH)
    resumed = run(other, finish=FINISH, save_every=save_every, progress=calls.append)
    assert same(wanted, resumed)
    assert [row["step"] for row in calls if "step" in row] == list(range(first, len(wanted.rows)))
    assert files(other) == files(whole)


def test_killed_and_resumed_is_the_same_to_the_bit(tmp_path: Path) -> None:
    command = [sys.executable, "-m", runs.__name__, str(tmp_path / "killed"), "4"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    finished(tmp_path / "whole", tmp_path / "killed", first=4)


@pytest.mark.parametrize(("step", "save_every", "first"), [(0, 1, 0), (1, 1, 1), (6, 4, 5)])
def test_interrupted_between_two_saves(
    tmp_path: Path, step: int, save_every: int, first: int
) -> None:
    def stop(row: dict[str, Any]) -> None:
        if row["step"] == step:
            raise Interrupted

    with pytest.raises(Interrupted):
        run(tmp_path / "cut", finish=FINISH, save_every=save_every, progress=stop)
    finished(tmp_path / "whole", tmp_path / "cut", first, save_every)


def test_interrupted_in_the_last_fine_tuning(tmp_path: Path) -> None:
    def stop(row: dict[str, Any]) -> None:
        if row.get("epoch") == 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        run(tmp_path / "one", finish=FINISH, progress=stop)
    calls: list[dict[str, Any]] = []
    resumed = run(tmp_path / "one", finish=FINISH, progress=calls.append)
    assert [row["epoch"] for row in calls] == [3]
    assert same(resumed, run(tmp_path / "other", finish=FINISH))


def test_a_run_that_is_done_is_read(tmp_path: Path) -> None:
    first = run(tmp_path)
    calls: list[dict[str, Any]] = []
    assert same(first, run(tmp_path, progress=calls.append)) and not calls
    content = json.loads((tmp_path / "rows.json").read_text())
    assert [row["step"] for row in content["rows"]] == [row.step for row in first.rows]
    assert content["front"] == [row.step for row in first.front]


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"steps": 4},
        {"recipe": FINISH},
        {"budget": Budget(multiplications=50)},
        {"importance": Taylor(per_cost=True)},
        {"loss": Distillation(collapse(trained(True)), 0.5)},
        {"model": trained(False), "loss": Distillation(trained(False))},
        {"train": (TRAIN[0] + 1e-6, TRAIN[1])},
        {"keep": ["4"], "budget": Budget(multiplications=60)},
    ],
    ids=lambda other: "-".join(other),
)
def test_another_run_does_not_go_on_here(tmp_path: Path, other: dict[str, Any]) -> None:
    run(tmp_path, recipe=RECIPE)
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in files(tmp_path)}
    with pytest.raises(StoreError, match="holds a run with other settings, data or weights"):
        run(tmp_path, **other)
    assert before == {name: (tmp_path / name).stat().st_mtime_ns for name in files(tmp_path)}


def test_damage_is_noticed(tmp_path: Path) -> None:
    pruned = run(tmp_path)
    (tmp_path / "steps" / f"{pruned.step:06}.safetensors").write_bytes(b"torn")
    with pytest.raises(StoreError, match="is damaged"):
        pruned.network(pruned.step)
    (tmp_path / "last.pt").write_bytes(b"torn")
    with pytest.raises(StoreError, match=r"last\.pt is damaged"):
        run(tmp_path)
    (tmp_path / "steps" / f"{pruned.step:06}.safetensors").unlink()
    with pytest.raises(StoreError, match="is not there"):
        pruned.network(pruned.step)
