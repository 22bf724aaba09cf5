"""From a case to its row of figures."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from functools import partial
from statistics import quantiles
from typing import Any

import torch
from torch import Tensor

from sfumato.bench.case import Absent, Candidate, Case, Setting
from sfumato.bench.step import MIB, Step
from sfumato.bench.timing import Timing, cuda_clock, load, take_turns, thread_clock
from sfumato.bench.verdict import verdicts
from sfumato.errors import SfumatoError
from sfumato.train import seeded

TURN_MS = 3.0
"""What a turn of the baseline lasts at least: shorter ones are repeated, up to 20 times."""

FIGURES = (
    "ms", "wall_ms", "ratio", "quartiles", "ratio_wall",
    "saved_mib", "traffic_mib", "bandwidth_share",
)  # fmt: skip

# What a peer, or a layer that lacks something, may fail with; the cell then says so.
_FAILURES = (
    RuntimeError, TypeError, ValueError, AttributeError, LookupError, AssertionError, SfumatoError,
)  # fmt: skip


def measure(case: Case, setting: Setting, bandwidth: float) -> dict[str, Any]:
    """Time all candidates of a case in turns, and weigh what their graphs keep.

    Args:
        case: the candidates; the first is the baseline.
        setting: how it runs.
        bandwidth: bytes per second that a copy moves, of `copy_bandwidth`.

    Returns:
        A row of JSON values. A candidate that cannot take part has a reason and no figures.
    """
    with seeded(case.name):
        ready = _ready(case, setting)
        steps = {name: step for name, step in ready.items() if isinstance(step, Step)}
        baseline = case.candidates[0].name
        if baseline not in steps:
            raise SfumatoError(f"{case.name}: its baseline does not run: {ready[baseline]}")
        repeats = _repeats(steps[baseline], setting)
        clock = cuda_clock if setting.accelerated else thread_clock
        timed = take_turns(steps, setting.rounds, repeats, clock)
        saved = {name: step.saved_mib() if step.train else None for name, step in steps.items()}
        traffic = {name: step.traffic_mib(saved[name] or 0.0) for name, step in steps.items()}
    cells = [_cell(c, ready[c.name]) for c in case.candidates]
    for cell in (cell for cell in cells if cell["reason"] is None):
        name = cell["name"]
        cell |= _times(timed[name], timed[baseline])
        cell |= {"saved_mib": saved[name], "traffic_mib": traffic[name]}
        cell["bandwidth_share"] = traffic[name] * MIB / (cell["ms"] / 1e3) / bandwidth
    return {
        "case": case.name,
        "train": case.train,
        "baseline": baseline,
        "rounds": setting.rounds,
        "repeats": repeats,
        "load": load(),
        "reach": None if case.reach is None else asdict(case.reach),
        "known": case.known,
        "candidates": cells,
        "verdicts": verdicts(case, timed, saved, judged=not setting.quick),
    }


def copy_bandwidth(setting: Setting) -> float:
    """Bytes per second that a copy of a large tensor reads and writes: the best of five."""
    source = torch.ones(setting.pick(1 << 26, 1 << 16), device=setting.device)
    copy = partial(torch.empty_like(source).copy_, source)
    clock = cuda_clock if setting.accelerated else thread_clock
    copy()
    best = min(clock(copy, 1)[0] for _ in range(5))
    return 2 * source.nbytes / (max(best, 1e-6) / 1e3)


def _ready(case: Case, setting: Setting) -> dict[str, Step | str]:
    """For every candidate a step that has run once, or why there is none."""
    x = case.records()
    return {c.name: _step(c, case.train, setting, x) for c in case.candidates}


def _step(candidate: Candidate, train: bool, setting: Setting, x: Tensor) -> Step | str:
    try:
        model = candidate.make()
        setting.place(model.module)
        step = Step(model, x, train)
        step()
    except Absent as absent:
        return str(absent)
    except _FAILURES as error:
        if candidate.role not in ("peer", "ours"):
            raise
        first = (str(error).strip() or "no message").splitlines()[0]
        return f"fails: {type(error).__name__}: {first[:120]}"
    return step


def _cell(candidate: Candidate, outcome: Step | str) -> dict[str, Any]:
    """The cell of a candidate, still without figures."""
    reason = outcome if isinstance(outcome, str) else None
    about = {"name": candidate.name, "role": candidate.role, "reason": reason}
    return about | dict.fromkeys(FIGURES)


def _repeats(step: Step, setting: Setting) -> int:
    if setting.quick:
        return 1
    begin = time.perf_counter()
    step()
    if setting.accelerated:
        torch.cuda.synchronize()
    spent = 1e3 * (time.perf_counter() - begin)
    return max(1, min(20, math.ceil(TURN_MS / spent)))


def _times(timing: Timing, baseline: Timing) -> dict[str, Any]:
    own, ratios = timing.figures(), timing.ratios(baseline)
    low, _, high = quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return {
        "ms": own["cpu_ms"],
        "wall_ms": own["wall_ms"],
        "ratio": timing.ratio(baseline),
        "quartiles": [low, high],
        "ratio_wall": timing.ratio(baseline, "wall"),
    }
