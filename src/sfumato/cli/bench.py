"""`sfumato bench`: how fast the layers are, beside plain torch and the peers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal, final

from sfumato.cli.common.command import Command
from sfumato.cli.common.folder import RunFolder


@final
@dataclass(frozen=True)
class BenchOptions:
    """Time the layers as ratios to the plain torch layer of the same run, on one thread.

    The peers that are installed take part; the others have a cell that says so. The table is
    printed, and OUT/results.json has all figures with versions and machine.
    """

    what: Literal["layers"]
    """What is timed: layers."""
    out: str | None = None
    """Folder of the run; an interrupted run in it goes on. By default runs/bench-TIME."""
    rounds: int = 21
    """Rounds in which all candidates of a case take turns; the median counts."""
    quick: bool = False
    """Tiny sizes, to see that everything runs; the figures mean nothing."""
    only: str = ""
    """Only the cases that have this in their names, for example "Conv2d"."""
    device: str = "cpu"
    """cpu or cuda."""
    dtype: Literal["fp32", "bf16"] = "fp32"
    """Of parameters and records."""
    compiled: bool = False
    """Time the steps under torch.compile too; the compiler takes minutes."""


def run(options: BenchOptions, folder: RunFolder | None) -> list[str]:
    """Measure, write results.json, and return the table."""
    from sfumato.bench import Setting, headline, run_layers, table
    from sfumato.cli.common.progress import Display
    from sfumato.files import write_json

    assert folder is not None
    given = {name: value for name, value in asdict(options).items() if name not in ("what", "out")}
    setting = Setting(**given)
    with Display(folder.path) as display:
        results = run_layers(
            setting,
            folder.path / "cells",
            on_plan=display.on_plan,
            on_done=lambda _, row: display.on_done(headline(row), row),
        )
    path = folder.path / "results.json"
    write_json(path, results)
    return [*table(results), "", f"figures: {path}"]


COMMAND = Command(
    name="bench",
    summary="how fast the layers are, beside torch and peers",
    options=BenchOptions,
    run=run,
    examples=(
        "sfumato bench layers",
        "sfumato bench layers --only Conv2d --rounds 41",
        "sfumato bench layers --quick --out runs/try",
    ),
    positional="what",
)
