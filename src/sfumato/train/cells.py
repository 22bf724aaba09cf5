"""A table as a grid of cells: one small JSON file each, so that any table resumes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from sfumato.errors import MissingDependency, SettingError
from sfumato.files import prepare_folder, read_json, write_json


@final
@dataclass(frozen=True)
class Cell:
    """One cell: a function of picklable arguments that returns a JSON value.

    Args:
        name: unique in its table; the file is `<name>.json`, and a slash makes a folder.
        function: importable by name, so that a worker process finds it.
        arguments: its keyword arguments.
    """

    name: str
    function: Callable[..., Any]
    arguments: dict[str, Any] = field(default_factory=dict)

    def path(self, folder: Path) -> Path:
        """Where the cell's result lies."""
        return folder / f"{self.name}.json"


def run_cells(
    cells: Sequence[Cell],
    folder: Path,
    *,
    workers: int = 1,
    on_done: Callable[[str, Any], None] | None = None,
) -> dict[str, Any]:
    """Fill the cells that are missing, in parallel processes, and return the whole table.

    Args:
        cells: the table.
        folder: where the cells' files lie.
        workers: processes at a time, one thread each; 1 runs everything in this process.
        on_done: called with name and result of each cell as it is done.

    Returns:
        Results by name.
    """
    names = [cell.name for cell in cells]
    if len(set(names)) < len(names):
        raise SettingError(f"cells need names of their own: {sorted(names)}")
    folder = prepare_folder(folder)
    missing = [cell for cell in cells if not cell.path(folder).exists()]
    results = {c.name: read_json(c.path(folder)) for c in cells if c not in missing}
    for name, result in _computed(missing, folder, workers):
        results[name] = result
        if on_done is not None:
            on_done(name, result)
    return {cell.name: results[cell.name] for cell in cells}


def _computed(cells: Sequence[Cell], folder: Path, workers: int) -> Any:
    if workers <= 1 or len(cells) <= 1:
        return ((cell.name, _run(cell, folder)) for cell in cells)
    try:
        from joblib import Parallel, delayed
    except ImportError as error:
        raise MissingDependency(
            'several workers need joblib: pip install "sfumato[cli]", or use workers=1'
        ) from error
    # Copy-on-write maps of the arrays: shared between processes, and writable for torch.
    parallel = Parallel(n_jobs=workers, return_as="generator_unordered", mmap_mode="c")
    return parallel(delayed(_run_in_worker)(cell, folder, os.getpid()) for cell in cells)


def _run(cell: Cell, folder: Path) -> Any:
    result = cell.function(**cell.arguments)
    cell.path(folder).parent.mkdir(parents=True, exist_ok=True)
    write_json(cell.path(folder), result)
    return result


def _run_in_worker(cell: Cell, folder: Path, parent: int) -> tuple[str, Any]:
    import torch

    torch.set_num_threads(1)  # the processes are the parallel part
    _end_with(parent)
    return cell.name, _run(cell, folder)


_watched: set[int] = set()


def _end_with(parent: int) -> None:
    """End this worker when its parent is gone.

    A worker finishes its task even when the parent was killed, and would then write into a folder
    in which the same run has begun anew.
    """
    if parent in _watched:
        return
    _watched.add(parent)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
