"""The benchmark of the layers: every row with its peers, in one run."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from sfumato.bench import bayesian, compiled, conditional, modules, peers, stochastic
from sfumato.bench.case import Case, Setting
from sfumato.bench.measure import copy_bandwidth, measure
from sfumato.bench.timing import machine
from sfumato.errors import SettingError
from sfumato.train.cells import Cell, run_cells

SCHEMA = "sfumato.bench/1"


def layer_cases(setting: Setting) -> list[Case]:
    """The cases that the setting asks for, in the order of the table.

    Raises:
        SettingError: no case is called like that.
    """
    cases = [
        *bayesian.cases(setting),
        *stochastic.cases(setting),
        *modules.cases(setting),
        *conditional.hard(setting),
        *conditional.soft(setting),
    ]
    if setting.compiled:
        cases += compiled.cases(setting)
    chosen = [case for case in cases if setting.only.lower() in case.name.lower()]
    if not chosen:
        raise SettingError(f"no case has {setting.only!r} in its name")
    return chosen


def run_layers(
    setting: Setting,
    folder: Path,
    *,
    on_plan: Callable[[int], None] | None = None,
    on_done: Callable[[str, Mapping[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Measure all cases, one after the other, and return the results as JSON values.

    Args:
        setting: how it runs.
        folder: each case is kept here as it is done, so that a run that was broken off goes on.
        on_plan: told how many cases there are.
        on_done: told the name and the row of each case as it is done.
    """
    cases = layer_cases(setting)
    about = machine()
    if on_plan is not None:
        on_plan(len(cases))
    bandwidth = copy_bandwidth(setting)
    arguments = {"setting": setting, "bandwidth": bandwidth}
    cells = [Cell(slug(c.name), measure, {"case": c, **arguments}) for c in cases]
    rows = run_cells(cells, folder, on_done=on_done)
    return {
        "schema": SCHEMA,
        "benchmark": "layers",
        "machine": {**about, "device": _device(setting)},
        "versions": _versions(),
        "setting": asdict(setting),
        "clock": "CUDA events" if setting.accelerated else "CPU time of the thread",
        "copy_gb_per_s": bandwidth / 1e9,
        "results": list(rows.values()),
    }


def slug(name: str) -> str:
    """A case's name as a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _device(setting: Setting) -> str:
    return torch.cuda.get_device_name(setting.device) if setting.accelerated else "cpu"


def _versions() -> dict[str, str | None]:
    try:
        own = version("sfumato")
    except PackageNotFoundError:
        own = None
    return {"sfumato": own, "torch": torch.__version__, **peers.versions()}
