"""`sfumato pixels ingest`: answers of an annotator back into the rounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from sfumato.cli.common.command import Command
from sfumato.cli.common.folder import RunFolder


@final
@dataclass(frozen=True)
class PixelIngestOptions:
    """Take answers back into the folder of sfumato pixels suggest.

    All answers of a file are taken, or none: whatever does not fit is named with its picture and
    pixel. A measurement that failed ("failed" as its answer) has been paid for all the same.
    """

    rounds: str
    """Folder of the rounds."""
    answers: str
    """A filled table (.csv), an export of Label Studio (.json) or of CVAT (.xml, .zip)."""
    missing: Literal["error", "wait", "failed"] = "error"
    """What to do with questions that have no answer: refuse the file, leave them open, or count
    them as failed."""
    format: str | None = None
    """table, label-studio or cvat, where the suffix does not tell."""
    replace: bool = False
    """Let answers replace others that were given before."""
    tolerance: int = 0
    """So many cells of the grid may a point have been moved."""


def run(options: PixelIngestOptions, _: RunFolder | None) -> list[str]:
    """Take the answers, and say what was spent."""
    from sfumato.cli.pixels.asking import take_back

    return take_back(options)


COMMAND = Command(
    name="pixels ingest",
    summary="take an annotator's answers back",
    options=PixelIngestOptions,
    run=run,
    examples=(
        "sfumato pixels ingest --rounds runs/mine --answers filled.csv",
        "sfumato pixels ingest --rounds runs/mine --answers export.json --missing wait",
    ),
)
