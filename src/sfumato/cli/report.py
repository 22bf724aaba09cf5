"""`sfumato report`: the page of a run, made anew."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

from sfumato.cli.command import Command
from sfumato.cli.folder import RunFolder


@final
@dataclass(frozen=True)
class ReportOptions:
    """Make report.html anew from results.json and the pictures of a run."""

    run: str
    """Folder of the run."""


def run(options: ReportOptions, _: RunFolder | None) -> list[str]:
    """Write the page that the run's command writes."""
    from sfumato.report import write_report

    if (Path(options.run) / "privacy_card.json").is_file():
        from sfumato.cli.audit_results import write_page

        return [f"report: {write_page(options.run)}"]
    return [f"report: {write_report(options.run)}"]


COMMAND = Command(
    name="report",
    summary="make report.html of a run anew",
    options=ReportOptions,
    run=run,
    examples=("sfumato report --run runs/demo",),
)
