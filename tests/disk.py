"""A disk that is nearly full, for tests that want to know what is left behind then."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def nearly_full(limit: int) -> Iterator[None]:
    """Files of this process may hold `limit` bytes and no more, as on a disk that is nearly full.

    Not a fixture, and not to be used in one: pytest writes its own progress, maybe to a file,
    before it leaves a fixture.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
