"""Timing two or more ways of doing the same, so that a busy machine does not decide who wins.

The candidates take turns within a round and are compared within the round; the clock is the CPU
time of the one thread that works, or on an accelerator its own events. Wall time stands beside it.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal, final

import torch

Work = Callable[[], object]
Clock = Callable[[Work, int], tuple[float, float]]


@final
@dataclass(frozen=True)
class Timing:
    """Milliseconds of one candidate in each round.

    Args:
        busy: CPU time of the thread; on an accelerator the time between two of its events.
        wall: time on the wall.
    """

    busy: tuple[float, ...]
    wall: tuple[float, ...]

    def ratios(self, baseline: Timing, clock: Literal["busy", "wall"] = "busy") -> list[float]:
        """This candidate's time by the baseline's, round by round."""
        mine, theirs = getattr(self, clock), getattr(baseline, clock)
        return [a / b for a, b in zip(mine, theirs, strict=True)]

    def ratio(self, baseline: Timing, clock: Literal["busy", "wall"] = "busy") -> float:
        """The median over rounds of this candidate's time by the baseline's."""
        return median(self.ratios(baseline, clock))

    def figures(self) -> dict[str, float]:
        """The medians, in milliseconds."""
        return {"cpu_ms": median(self.busy), "wall_ms": median(self.wall)}


def thread_clock(work: Work, repeats: int) -> tuple[float, float]:
    """Milliseconds per call: CPU time of this thread, and wall time."""
    wall, cpu = time.perf_counter(), time.thread_time()
    for _ in range(repeats):
        work()
    cpu, wall = time.thread_time() - cpu, time.perf_counter() - wall
    return 1e3 * cpu / repeats, 1e3 * wall / repeats


def cuda_clock(work: Work, repeats: int) -> tuple[float, float]:
    """Milliseconds per call: between two events on the accelerator, and wall time."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    wall = time.perf_counter()
    begin.record()
    for _ in range(repeats):
        work()
    end.record()
    torch.cuda.synchronize()
    wall = time.perf_counter() - wall
    return begin.elapsed_time(end) / repeats, 1e3 * wall / repeats


def take_turns(
    candidates: Mapping[str, Work],
    rounds: int,
    repeats: int = 1,
    clock: Clock = thread_clock,
) -> dict[str, Timing]:
    """Time every candidate once per round, after one warm-up, on one thread.

    Args:
        candidates: what to time, by name.
        rounds: number of rounds; the order is reversed in every second one.
        repeats: how often a candidate runs in its turn.
        clock: runs a candidate so often and says how long one call took.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    busy: dict[str, list[float]] = {name: [] for name in candidates}
    wall: dict[str, list[float]] = {name: [] for name in candidates}
    try:
        for work in candidates.values():
            work()
        for turn in range(rounds):
            order = list(candidates)[:: -1 if turn % 2 else 1]
            for name in order:
                spent = clock(candidates[name], repeats)
                busy[name].append(spent[0])
                wall[name].append(spent[1])
    finally:
        torch.set_num_threads(threads)
    return {name: Timing(tuple(busy[name]), tuple(wall[name])) for name in candidates}


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "load": load(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": 1,
    }


def load() -> list[float] | None:
    """How many processes wanted to run in the last 1, 5 and 15 minutes, where that is known."""
    return [round(value, 2) for value in os.getloadavg()] if hasattr(os, "getloadavg") else None


def _cpu_name() -> str:
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text(encoding="utf-8").splitlines() if listing.is_file() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
