"""`sfumato report`: the page of a run, made anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from sfumato.cli.common.command import Command
from sfumato.cli.common.folder import RunFolder
from sfumato.errors import SfumatoError
from sfumato.files import read_json


@final
@dataclass(frozen=True)
class ReportOptions:
    """Make report.html anew from results.json and the pictures of a run."""

    run: str
    """Folder of the run."""


def run(options: ReportOptions, _: RunFolder | None) -> list[str]:
    """Write the page that the run's command writes."""
    return [f"report: {_writer(Path(options.run))(options.run)}"]


def _writer(run: Path) -> Callable[[str], Path]:
    from sfumato import report
    from sfumato.cli.audit.results import write_page

    if (run / "privacy_card.json").is_file():
        return write_page
    try:
        content: Any = read_json(run / "results.json")
    except SfumatoError:
        content = None  # the page of a run says what is wrong with it
    command = content.get("command") if isinstance(content, dict) else None
    pages = {
        "prune": report.write_prune,
        "defend": report.write_defend,
        "denoise": report.write_denoise,
        "pixels train": report.write_pixels,
        "pixels evaluate": report.write_pixels,
        "pixels suggest": report.write_rounds,
    }
    return pages.get(str(command), report.write_report)


COMMAND = Command(
    name="report",
    summary="make report.html of a run anew",
    options=ReportOptions,
    run=run,
    examples=("sfumato report --run runs/demo",),
)
