"""`sfumato train`: your data and your model, or releases that someone handed you."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, final

from sfumato.cli.common.command import Command
from sfumato.cli.common.folder import RunFolder


@final
@dataclass(frozen=True)
class TrainOptions:
    """Train your model in rounds on a small clean part and obfuscated releases of the rest.

    With --released, train on a folder of releases instead, without having the records.
    """

    data: str = "digits"
    """A built-in name (digits), a folder in hub layout, or a hub id. Not used with --released."""
    out: str | None = None
    """Folder of the run; an interrupted run in it goes on. By default runs/train-TIME."""
    model: str | None = None
    """module:factory, called with the shape of a record and the number of classes, returns the
    model; by default a small convolutional network."""
    target: float | None = None
    """Stop after the round that reaches this accuracy on clean test records, for example 0.95."""
    fractions: tuple[float, ...] = (0.05, 0.10, 0.15)
    """Share of clean training records in round 1, 2, ..."""
    seeds: int = 3
    """Repeat everything with so many seeds: 0, 1, 2, ..."""
    knob: float | None = None
    """Weight of the obfuscation objective: more hides more and costs accuracy. By default that of
    sfumato.obfuscation.Plan."""
    limit: int | None = None
    """Take at most so many records for training, and as many for testing."""
    workers: int = 0
    """Parallel processes; 0 is one per core."""
    plan: dict[str, Any] = field(default_factory=dict)
    """Any other field of sfumato.obfuscation.Plan by name, for example --plan.learner.epochs 5."""
    released: str | None = None
    """A folder that `sfumato release` wrote: train on it."""
    clean: str | None = None
    """With --released: clean records to train on as well (their split "train")."""
    test: str | None = None
    """With --released: clean records to test on (their split "test"); without them a fifth of the
    releases is held out."""


def run(options: TrainOptions, folder: RunFolder | None) -> list[str]:
    """Run the rounds, or train on releases, and write the report."""
    assert folder is not None
    if options.released is not None:
        from sfumato.cli.train.released import train_on_releases

        return train_on_releases(options, folder)
    from sfumato.cli.common.rounds import run_rounds

    return run_rounds(
        options, folder, limit=options.limit, model=options.model, target=options.target
    )


COMMAND = Command(
    name="train",
    summary="train on obfuscated records, in rounds or released",
    options=TrainOptions,
    run=run,
    examples=(
        "sfumato train --data path/to/pictures --model models:make --target 0.95",
        "sfumato train --released released --clean path/to/clean --test path/to/clean",
    ),
)
