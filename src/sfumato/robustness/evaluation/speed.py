"""What one batched forward saves over a loop of forwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sfumato.robustness.attacks import PGD
from sfumato.robustness.attacks.base import check_records
from sfumato.robustness.attacks.bridge import foolbox_package
from sfumato.robustness.attacks.modes import attackable


def draws_speed(
    model: nn.Module,
    x: Tensor,
    labels: Tensor,
    *,
    epsilon: float = 0.1,
    draws: int = 16,
    steps: int = 20,
    max_batch: int = 512,
    repeats: int = 3,
) -> dict[str, float]:
    """PGD over draws: our batched expectation against foolbox's loop, on the same model.

    Both average the logits over `draws` and take `steps` steps of the same length.

    Args:
        model: a stochastic classifier.
        x: records `[N, ...]` in [0, 1].
        labels: `[N]`.
        epsilon: the radius, in L∞.
        draws: for each step.
        steps: of PGD.
        max_batch: at most so many records times draws in our forward.
        repeats: the quickest of so many runs counts, after one that does not.

    Returns:
        "batched" and "loop" in seconds, "ratio" = loop / batched.

    Raises:
        DataError: no records, NaN, or values outside [0, 1].
        MissingDependency: foolbox is not installed.
    """
    check_records(x, labels, (0.0, 1.0))
    package = foolbox_package()
    attack = PGD(epsilon=epsilon, draws=draws, steps=steps, average="logits", max_batch=max_batch)
    native = package.attacks.LinfPGD(rel_stepsize=attack.step, steps=steps)

    def loop() -> None:
        with attackable(model):
            plain = package.PyTorchModel(model, bounds=(0.0, 1.0), device=x.device)
            wrapped = package.models.ExpectationOverTransformationWrapper(plain, n_steps=draws)
            native.run(wrapped, x, package.criteria.Misclassification(labels), epsilon=epsilon)

    runs = {"batched": lambda: attack(model, x, labels), "loop": loop}
    times = {name: _seconds(run) for name, run in runs.items()}  # warms up, does not count
    for number in range(max(1, repeats)):
        # in turns, so that a machine that is busy for a while is busy for both
        for name, run in runs.items():
            seconds = _seconds(run)
            times[name] = seconds if number == 0 else min(times[name], seconds)
    return {**times, "ratio": times["loop"] / times["batched"]}


def _seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start
