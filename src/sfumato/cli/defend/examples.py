"""Adversarial examples for the page of `sfumato defend`."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from sfumato.data import Records
from sfumato.files import atomic
from sfumato.robustness import ExpectedModel, RobustnessReport

SHOWN = 8


def save_examples(
    model: nn.Module, report: RobustnessReport, records: Records, epsilon: float, run: Path
) -> None:
    """Keep the records that fare worst at about `epsilon`, with their adversarial examples.

    Those that the model gets wrong as they are come last: they show nothing of the attack. The
    examples are those of the attack that leaves least; nothing is kept where none could run.

    Args:
        model: the attacked one.
        report: of the attacks, whose files are in `run`/attacks.
        records: that were attacked.
        epsilon: the radius; the nearest one of the report is taken.
        run: the folder of the run, where `pictures.safetensors` is written.
    """
    level = min(report.levels, key=lambda level: abs(level.epsilon - epsilon))
    rows = [row for row in level.attacks if not row.skipped]
    if not rows:
        return
    best = min(rows, key=lambda row: row.accuracy[report.prediction].mean)
    cell = run / "attacks" / f"epsilon-{level.epsilon:g}" / best.name / f"{best.target}.safetensors"
    with safe_open(cell, framework="pt") as file:
        found = file.get_tensor("found")
    expected = ExpectedModel(model, 16, average="probabilities")
    with torch.no_grad():
        wrong = expected(records.inputs).argmax(1) != records.labels
        worst = (torch.tensor(level.records) + 2 * wrong).argsort(stable=True)[:SHOWN]
        said = expected(found[worst]).argmax(1)
    tensors = {
        "original": records.inputs[worst],
        "adversarial": found[worst],
        "labels": records.labels[worst],
        "predicted": said,
    }
    with atomic(run / "pictures.safetensors") as part:
        save_file({key: value.contiguous() for key, value in tensors.items()}, part)
