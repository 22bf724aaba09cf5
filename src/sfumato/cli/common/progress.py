"""What is going on, live: from events of this process and from files of worker processes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, final

from rich.console import Console

from sfumato.cli.common.boards import Board, Event, LiveBoard, PlainBoard


@final
class Display:
    """Show progress while a `with` block runs.

    Events come from calls in this process, and from `<folder>/progress/<cell>.json`, where worker
    processes keep the latest event of each cell; that folder is read a few times a second.

    Args:
        folder: The folder of the run.
        console: Where to show it; the standard output by default. On a terminal there are live
            bars, elsewhere a plain line now and then.
        every: Seconds between two looks at the folder.
    """

    def __init__(self, folder: Path, console: Console | None = None, every: float = 0.25) -> None:
        console = console or Console()
        self._folder = folder / "progress"
        self._board: Board = LiveBoard(console) if console.is_terminal else PlainBoard(console)
        self._every = every
        self._seen = self._stamps()  # what an earlier call left is not news
        self._count = 0
        self._total: int | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Display:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        if kind is None:
            self._look()
        self._board.close()

    def __call__(self, event: Event) -> None:
        """Show an event of this process."""
        with self._lock:
            self._board.show(event)

    def named(self, cell: str, phase: str = "") -> Callable[[Event], None]:
        """A progress function that puts the names of cell and phase into its events."""
        return lambda event: self({"cell": cell, "phase": phase, **event})

    def on_plan(self, total: int) -> None:
        """Say how many cells there are to do."""
        self._total = total

    def on_done(self, cell: str, result: Any) -> None:
        """Say that a cell is finished, with its figures if `result` is a mapping."""
        with self._lock:
            self._count += 1
            figures = result if isinstance(result, Mapping) else {}
            self._board.done(cell, figures, self._count, self._total)

    def _watch(self) -> None:
        while not self._stop.wait(self._every):
            self._look()

    def _look(self) -> None:
        for path, stamp in self._stamps().items():
            if self._seen.get(path) == stamp:
                continue
            self._seen[path] = stamp
            try:
                event = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue  # it is being replaced; the next look will find it
            if isinstance(event, dict):
                self(event)

    def _stamps(self) -> dict[Path, int]:
        stamps = {}
        for path in self._folder.glob("*.json"):
            try:
                stamps[path] = path.stat().st_mtime_ns
            except OSError:
                continue
        return stamps
