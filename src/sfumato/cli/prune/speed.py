"""How long a network takes before and after pruning."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from sfumato.bench.timing import take_turns
from sfumato.cli.prune.training import Data


def speed_of(before: nn.Module, after: nn.Module, data: Data) -> list[dict[str, Any]]:
    """Milliseconds of a forward pass on one thread, for one record and for many."""
    modes = [(model, model.training) for model in (before, after)]
    measured = []
    try:
        for batch in (1, 64):
            x = data.test[0][:batch]
            measured.append({"batch": len(x), **_timed(before.eval(), after.eval(), x)})
    finally:
        for model, training in modes:
            model.train(training)
    return measured


def _timed(before: nn.Module, after: nn.Module, x: Tensor) -> dict[str, float]:
    with torch.inference_mode():
        before(x)
        start = time.perf_counter()
        before(x)
        once = time.perf_counter() - start
        repeats = max(1, min(50, int(0.02 / max(once, 1e-6))))
        rounds = 15 if once < 0.1 else 3
        times = take_turns(
            {"before": lambda: before(x), "after": lambda: after(x)}, rounds, repeats
        )
    return {
        "before_ms": median(times["before"].busy),
        "after_ms": median(times["after"].busy),
        "ratio": times["before"].ratio(times["after"]),
    }
