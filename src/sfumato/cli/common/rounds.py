"""Training in rounds, as `demo` and `train` run it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sfumato as sf
from sfumato.cli.common.folder import RunFolder
from sfumato.cli.common.models import check_model
from sfumato.cli.common.progress import Display
from sfumato.cli.common.settings import model_factory, open_data, override, worker_count
from sfumato.obfuscation import Plan


def run_rounds(
    options: Any, folder: RunFolder, *, limit: int | None, model: str | None, target: float | None
) -> list[str]:
    """Train in rounds with the settings that both commands have, and write the report.

    Args:
        options: Has data, fractions, seeds, knob, workers and plan.
        folder: The folder of the run.
        limit: The number of records to take at most.
        model: `module:factory`, or None for the default.
        target: The accuracy at which to stop, or None.

    Returns:
        The lines to print at the end.
    """
    plan = Plan(
        fractions=tuple(options.fractions),
        seeds=tuple(range(options.seeds)),
        target=target,
    )
    if options.knob is not None:
        plan = replace(plan, knob=options.knob)
    plan, factory = override(plan, options.plan), model_factory(model)
    train, test = open_data(options.data, limit)
    check_model(model, train)
    with Display(folder.path) as display:
        results = sf.incremental(
            factory,
            train,
            test=test,
            plan=plan,
            out=folder.path,
            workers=worker_count(options.workers),
            on_plan=display.on_plan,
            on_done=display.on_done,
            command=folder.command,
        )
    report = folder.finish(results)
    return [*results["verdict"], f"report: {report}"]
