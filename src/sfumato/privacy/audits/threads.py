"""How many threads an audit computes with: those that are set, unless they would stall it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

import torch

SMALL = 256
"""Records of so many elements are attacked in one thread: more have nothing to share out."""

_SIDE, _TIMES = 64, 9
_SLOWER, _LEAST = 10.0, 1e-3


@contextmanager
def bearable_threads(elements: int) -> Iterator[Callable[[], None]]:
    """Compute in one thread inside the block where several would stall, else as it is set.

    OpenMP threads wait for each other by spinning. On cores that others keep busy the one that is
    waited for does not come to run while the others spin, so that a product of 64 x 64 numbers,
    which takes 0.01 ms in one thread, was measured to take 40 ms in two: attacks of a second then
    take minutes. Small records gain nothing by threads, and have one. Of larger ones threads are
    kept unless they stall; the block gets a function that looks again, to be called between cells.

    Args:
        elements: of one record.

    Example:
        >>> with bearable_threads(64):
        ...     torch.get_num_threads()
        1
    """
    before = torch.get_num_threads()

    def look() -> None:
        if torch.get_num_threads() > 1 and (elements <= SMALL or stalled()):
            torch.set_num_threads(1)

    look()
    try:
        yield look
    finally:
        torch.set_num_threads(before)


def stalled() -> bool:
    """Whether a small product takes far longer in the threads that are set than in one."""
    threads = torch.get_num_threads()
    together = product_seconds()
    torch.set_num_threads(1)
    try:
        alone = product_seconds()
    finally:
        torch.set_num_threads(threads)
    return together > max(_SLOWER * alone, _LEAST)


def product_seconds() -> float:
    """The median time of a small product, in the threads that are set."""
    ones = torch.ones(_SIDE, _SIDE)
    taken = []
    for _ in range(_TIMES):
        start = time.perf_counter()
        torch.mm(ones, ones)
        taken.append(time.perf_counter() - start)
    return median(taken)
