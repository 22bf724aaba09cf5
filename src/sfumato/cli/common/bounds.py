"""A bound that a user set and a run passed: no failure of the run, but no success either."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from sfumato.errors import SfumatoError


@final
class BoundPassed(SfumatoError):
    """The run is complete, and passes a bound: the command exits with 1.

    Args:
        lines: what the command prints.
        passed: the bounds, in words.
    """

    def __init__(self, lines: Sequence[str], passed: Sequence[str]) -> None:
        super().__init__(" ".join(passed))
        self.lines = tuple(lines)
        self.passed = tuple(passed)
