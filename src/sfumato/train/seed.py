"""Seeds that do not disturb the caller's random state."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive(*parts: object) -> int:
    """A seed for one purpose: equal parts give equal seeds, others independent ones."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:7], "big")


@contextmanager
def seeded(*parts: object) -> Iterator[None]:
    """Torch's global generators seeded by `parts` inside the block, and restored after it."""
    with torch.random.fork_rng():
        torch.manual_seed(derive(*parts))
        yield


def generator(*parts: object) -> torch.Generator:
    """A CPU generator of its own, for orders of records; noise uses the global one."""
    return torch.Generator().manual_seed(derive(*parts))
