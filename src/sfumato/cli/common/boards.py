"""Two ways to show events: live bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

# cell, phase, epoch, epochs (or another unit), and figures such as accuracy or loss
Event = Mapping[str, Any]

_STRUCTURE = {"cell", "phase", "epoch", "epochs", "step", "unit"}
_SHARES = {"accuracy", "with_released", "miou"}
_RESULTS = ("accuracy", "with_released", "leak", "miou", "rmse", "pixels")
"""What of a cell's result is shown."""


class Board(Protocol):
    """Shows events in one way or another."""

    def show(self, event: Event) -> None:
        """A cell went on."""

    def done(self, cell: str, figures: Event, count: int, total: int | None = None) -> None:
        """A cell is finished; it is number `count` of `total` of this call."""

    def close(self) -> None:
        """Nothing more comes."""


@final
class LiveBoard:
    """A bar for each cell that moved lately, on a terminal.

    Args:
        console: A terminal.
        rows: How many cells are shown at most; the ones that moved last.
    """

    def __init__(self, console: Console, rows: int = 4) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            TextColumn("[cyan]{task.fields[phase]}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[position]}"),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._rows = rows
        self._tasks: dict[str, TaskID] = {}  # the cell that moved last comes last
        self._total = self._add("running", None)
        self._progress.start()

    def show(self, event: Event) -> None:
        """Move the bar of the event's cell."""
        cell = str(event.get("cell", "run"))
        task = self._tasks.pop(cell, None)
        if task is None:
            task = self._add(cell, event.get("epochs"))
        self._tasks[cell] = task
        self._progress.update(
            task,
            completed=event.get("epoch", 0),
            total=event.get("epochs"),
            phase=str(event.get("phase", "")),
            position=position(event),
            figures=figures(event),
        )
        while len(self._tasks) > self._rows:
            self._progress.remove_task(self._tasks.pop(next(iter(self._tasks))))

    def done(self, cell: str, figures: Event, count: int, total: int | None = None) -> None:
        """Take the cell's bar away and count it."""
        for name in [name for name in self._tasks if name == cell]:
            self._progress.remove_task(self._tasks.pop(name))
        self._progress.update(
            self._total,
            completed=count,
            total=total,
            phase=_counted(count, total),
            figures=_last(cell, figures),
        )

    def close(self) -> None:
        """Give the terminal back."""
        self._progress.stop()

    def _add(self, name: str, total: float | None) -> TaskID:
        return self._progress.add_task(name, total=total, phase="", position="", figures="")


@final
class PlainBoard:
    """A line for each finished cell, and one now and then for what goes on in between.

    Args:
        console: Not a terminal.
        interval: Seconds between two lines about unfinished cells.
        clock: Tells the time in seconds.
    """

    def __init__(
        self,
        console: Console,
        interval: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._interval = interval
        self._clock = clock
        self._next = clock()

    def show(self, event: Event) -> None:
        """Print the event, unless a line was printed a moment ago."""
        if self._clock() < self._next:
            return
        parts = [event.get("cell"), event.get("phase"), position(event), figures(event)]
        self._print("  ".join(str(part) for part in parts if part))

    def done(self, cell: str, figures: Event, count: int, total: int | None = None) -> None:
        """Print that the cell is finished."""
        self._print(f"{_counted(count, total)}  {_last(cell, figures)}")

    def close(self) -> None:
        """Nothing to give back."""

    def _print(self, line: str) -> None:
        self._next = self._clock() + self._interval
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def position(event: Event) -> str:
    """Where a cell is: "epoch 3/10", or another unit, or nothing."""
    if "epoch" not in event:
        return ""
    of = f"/{event['epochs']}" if event.get("epochs") else ""
    return f"{event.get('unit', 'epoch')} {event['epoch']}{of}"


def figures(event: Event) -> str:
    """The numbers of an event in words: "accuracy 93.0 %  leak 0.31"."""
    numbers = {
        key: value
        for key, value in event.items()
        if key not in _STRUCTURE and isinstance(value, (int, float)) and not isinstance(value, bool)
    }
    return "  ".join(
        f"{key.replace('_', ' ')} " + (f"{100 * value:.1f} %" if key in _SHARES else f"{value:.3g}")
        for key, value in numbers.items()
    )


def _counted(count: int, total: int | None) -> str:
    return f"{count} done" if total is None else f"{count} of {total} done"


def _last(cell: str, result: Event) -> str:
    shown = {key: result[key] for key in _RESULTS if key in result}
    return f"{cell}  {figures(shown)}".rstrip()
