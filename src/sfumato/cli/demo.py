"""`sfumato demo`: the whole road on one data set, with its baselines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, final

from sfumato.cli.common.command import Command
from sfumato.cli.common.folder import RunFolder

LIMIT = 3000
"""Records that a demo takes unless it is asked for more: some minutes of work, not hours."""


@final
@dataclass(frozen=True)
class DemoOptions:
    """Train in rounds on a small clean part and obfuscated releases of the rest, and report.

    The report compares with plain isotropic noise, with the clean part alone, with class mean +
    noise and with all records clean, and says which of them wins.
    """

    data: str = "digits"
    """A built-in name (digits), a folder in hub layout, or a hub id."""
    out: str | None = None
    """Folder of the run; an interrupted run in it goes on. By default runs/demo-TIME."""
    full: bool = False
    """Take all records; otherwise at most 3000 for training and 3000 for testing."""
    limit: int | None = None
    """Take at most so many records for training, and as many for testing."""
    fractions: tuple[float, ...] = (0.05, 0.10, 0.15)
    """Share of clean training records in round 1, 2, ..."""
    seeds: int = 3
    """Repeat everything with so many seeds: 0, 1, 2, ..."""
    knob: float | None = None
    """Weight of the obfuscation objective: more hides more and costs accuracy. By default that of
    sfumato.obfuscation.Plan."""
    workers: int = 0
    """Parallel processes; 0 is one per core."""
    plan: dict[str, Any] = field(default_factory=dict)
    """Any other field of sfumato.obfuscation.Plan by name, for example --plan.learner.epochs 5."""


def run(options: DemoOptions, folder: RunFolder | None) -> list[str]:
    """Run the rounds and write the report."""
    from sfumato.cli.common.rounds import run_rounds

    assert folder is not None
    limit = options.limit if options.limit is not None else LIMIT
    return run_rounds(
        options, folder, limit=None if options.full else limit, model=None, target=None
    )


COMMAND = Command(
    name="demo",
    summary="a full run with all baselines and a report",
    options=DemoOptions,
    run=run,
    examples=(
        "sfumato demo",
        "sfumato demo --data path/to/mnist --fractions 0.05 0.10 --seeds 2",
        "sfumato demo --data path/to/mnist --full --out runs/mnist",
    ),
)
