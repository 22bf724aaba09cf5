"""Cells: only what is missing is computed, and each result is a whole file or none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sfumato.errors import MissingDependency, StoreError
from sfumato.train import Cell, run_cells
from tests.train import toys


def squares(count: int) -> list[Cell]:
    return [Cell(f"squares/{n}", toys.square, {"number": n}) for n in range(count)]


def noted(folder: Path, count: int) -> list[Cell]:
    folder.mkdir(exist_ok=True)
    arguments = ({"number": n, "folder": folder} for n in range(count))
    return [Cell(str(one["number"]), toys.noted, one) for one in arguments]


def marks(folder: Path) -> dict[str, int]:
    return {path.name: len(path.read_text(encoding="utf-8")) for path in folder.iterdir()}


def test_results_and_files(tmp_path: Path) -> None:
    table = run_cells(squares(3), tmp_path)
    assert table == {f"squares/{n}": {"square": n * n} for n in range(3)}
    assert list(table) == ["squares/0", "squares/1", "squares/2"]
    assert json.loads((tmp_path / "squares/2.json").read_text(encoding="utf-8")) == {"square": 4}


def test_only_missing_cells_run(tmp_path: Path) -> None:
    run_cells(noted(tmp_path / "marks", 3), tmp_path / "cells")
    (tmp_path / "cells/1.json").unlink()
    table = run_cells(noted(tmp_path / "marks", 4), tmp_path / "cells")
    assert table == {"0": 0, "1": 1, "2": 2, "3": 3}
    assert marks(tmp_path / "marks") == {"0": 1, "1": 2, "2": 1, "3": 1}


def test_in_parallel_as_in_series(tmp_path: Path) -> None:
    told: list[str] = []
    serial = run_cells(squares(5), tmp_path / "serial")
    cells = [*squares(5), Cell("threads", toys.threads)]
    parallel = run_cells(
        cells, tmp_path / "parallel", workers=2, on_done=lambda name, _: told.append(name)
    )
    assert parallel.pop("threads") == 1
    assert parallel == serial and list(parallel) == list(serial)
    assert sorted(told) == sorted(cell.name for cell in cells)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_cell_that_fails_keeps_the_others(tmp_path: Path, workers: int) -> None:
    cells = [*squares(4), Cell("broken", toys.broken, {"number": 7})]
    with pytest.raises(RuntimeError, match="cell 7 is broken"):
        run_cells(cells, tmp_path, workers=workers)
    assert not (tmp_path / "broken.json").exists()
    done = sorted(path.name for path in (tmp_path / "squares").glob("*.json"))
    if workers == 1:
        assert done == ["0.json", "1.json", "2.json", "3.json"]
    assert all(json.loads((tmp_path / "squares" / name).read_text()) for name in done)
    assert run_cells(squares(4), tmp_path) == run_cells(squares(4), tmp_path / "fresh")


def test_on_done_is_called_for_new_results_alone(tmp_path: Path) -> None:
    run_cells(squares(2), tmp_path)
    told: dict[str, Any] = {}
    run_cells(squares(4), tmp_path, on_done=told.__setitem__)
    assert told == {"squares/2": {"square": 4}, "squares/3": {"square": 9}}


def test_an_interrupted_write_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Path, *_: Any, **__: Any) -> None:
        self.write_bytes(b'{"squ')
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_cells(squares(1), tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_damaged_cell_is_said_not_used(tmp_path: Path) -> None:
    run_cells(squares(2), tmp_path)
    (tmp_path / "squares/1.json").write_text('{"square": ', encoding="utf-8")
    with pytest.raises(StoreError, match=r"1\.json is truncated or damaged"):
        run_cells(squares(2), tmp_path)


def test_workers_need_joblib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "joblib", None)
    with pytest.raises(MissingDependency, match=r'pip install "sfumato\[cli\]"'):
        run_cells(squares(2), tmp_path, workers=2)
    assert len(run_cells(squares(2), tmp_path)) == 2
