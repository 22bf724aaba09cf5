"""The same step under `torch.compile`, against itself in eager mode."""

from __future__ import annotations

import importlib.util
import os
import shutil
from dataclasses import replace

import torch

from sfumato.bench import bayesian, stochastic
from sfumato.bench.case import Absent, Candidate, Case, Model, Reach, Setting

NO_SLOWER = Reach(1.05)  # no slow-down, within the noise of the clock


def cases(setting: Setting) -> list[Case]:
    """A case for each plain and each of our stochastic and Bayesian layers, in training."""
    reason = missing(setting)
    eager = [
        stochastic.linear(setting),
        stochastic.conv(setting),
        bayesian.linear(setting, setting.pick(128, 4), "train"),
        bayesian.conv(setting, "train"),
    ]
    return [
        _against_itself(case, candidate, reason)
        for case in eager
        for candidate in case.candidates
        if candidate.role == "plain" or (candidate.role == "ours" and candidate.asked)
    ]


def missing(setting: Setting) -> str | None:
    """What `torch.compile` lacks here, in a few words; None where it lacks nothing."""
    if setting.accelerated:
        return None if importlib.util.find_spec("triton") else "triton is not installed"
    compilers = (os.environ.get("CXX", ""), "g++", "clang++", "c++")
    return None if any(map(shutil.which, compilers)) else "there is no C++ compiler"


def _against_itself(case: Case, candidate: Candidate, reason: str | None) -> Case:
    name, ours = candidate.name, candidate.role == "ours"

    def compiled() -> Model:
        if reason is not None:
            raise Absent(reason)
        model = candidate.make()
        return Model(model.module, torch.compile(model.call, fullgraph=True))

    return Case(
        f"compiled: {name} in {case.name}",
        case.records,
        (
            replace(candidate, name=f"{name}, eager", role="plain"),
            Candidate(f"{name}, compiled", "ours" if ours else "plain", compiled),
        ),
        train=case.train,
        reach=NO_SLOWER if ours else None,
    )
