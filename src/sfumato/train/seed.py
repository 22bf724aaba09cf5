"""Seeds that do not disturb the caller's random state."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class _Blocks(threading.local):
    """How many `seeded` blocks this thread is inside of."""

    depth = 0


_blocks = _Blocks()


def derive(*parts: object) -> int:
    """A seed for one purpose: equal parts give equal seeds, others independent ones."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:7], "big")


@contextmanager
def seeded(*parts: object) -> Iterator[None]:
    """Torch's global generators seeded by `parts` inside the block, and restored after it."""
    with torch.random.fork_rng():
        torch.manual_seed(derive(*parts))
        _blocks.depth += 1
        try:
            yield
        finally:
            _blocks.depth -= 1


def inside_seeded() -> bool:
    """Whether the code runs inside a `seeded` block."""
    return _blocks.depth > 0


def generator(*parts: object) -> torch.Generator:
    """A CPU generator of its own, for orders of records; noise uses the global one."""
    return torch.Generator().manual_seed(derive(*parts))
