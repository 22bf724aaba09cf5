"""One evaluation: its settings, and the cells that attack and score."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, fields
from typing import Any, final

import torch
from torch import Tensor, nn

from sfumato.errors import SfumatoError
from sfumato.nn.mode import modes_of
from sfumato.robustness.attacks import Attack, GradientError, Norm
from sfumato.robustness.attacks.base import mean_distance
from sfumato.robustness.evaluation.report import AttackRow, Prediction
from sfumato.robustness.evaluation.scoring import Scorer, mean_path
from sfumato.robustness.evaluation.shares import Share
from sfumato.robustness.evaluation.store import Cell, Store, fingerprint
from sfumato.robustness.evaluation.suite import Entry
from sfumato.train.loop import Progress
from sfumato.train.seed import seeded

FOUND = "found"
"""The name of the adversarial examples in a cell, beside the scores."""


@final
@dataclass(frozen=True)
class Outcome:
    """What one attack did at one ε.

    Args:
        row: for the report.
        found: its adversarial examples; empty if it was skipped.
        scores: by prediction, the share of fresh draws that are right, `[N]`.
    """

    row: AttackRow
    found: Tensor
    scores: dict[str, Tensor]
    no_gradient: bool = False


@final
@dataclass
class Job:
    """The parts of one evaluation that its steps share."""

    model: nn.Module
    x: Tensor
    labels: Tensor
    norm: Norm
    entries: tuple[Entry, ...]
    scorer: Scorer
    prediction: Prediction
    seed: int
    bounds: tuple[float, float]
    undefended: nn.Module | None
    progress: Progress
    store: Store
    total: int = 0
    done: int = 0

    def outcome(self, entry: Entry, epsilon: float, records: int | None = None) -> Outcome:
        """Run the entry at ε, or read what it did; on the first `records` records alone if given.

        Raises:
            SfumatoError: the attack cannot run, for another reason than a missing gradient.
        """
        count = len(self.x) if records is None else min(records, len(self.x))
        part = "" if records is None else f"/first-{count}"
        name = f"epsilon-{epsilon:g}/{entry.key}{part}"
        content, tensors = self.cell(name, entry, epsilon, count)
        found = tensors[FOUND]
        scores = {k: v for k, v in tensors.items() if k != FOUND}
        accuracy = {key: Share.of(value) for key, value in scores.items()}
        row = AttackRow(
            name=entry.name,
            kind=entry.attack.kind,
            target=entry.target,
            accuracy=accuracy,
            distance=content["distance"],
            budget=entry.attack.budget,
            seconds=content["seconds"],
            skipped=content["skipped"],
        )
        shown = {"accuracy": accuracy[self.prediction].mean} if accuracy else {}
        self.tell(name, shown)
        return Outcome(row, found, scores, content["no_gradient"])

    def cell(self, name: str, entry: Entry, epsilon: float, count: int) -> Cell:
        """What the entry does to the first `count` records: read, or made and kept."""
        content, tensors = self.store.cell(name, lambda: self.attack(entry, epsilon, count, name))
        return content, {key: value.to(self.x.device) for key, value in tensors.items()}

    def tell(self, name: str, shown: dict[str, float]) -> None:
        """Tell the progress that one more step is done."""
        self.done += 1
        self.progress({"cell": name, "epoch": self.done, "epochs": self.total, **shown})

    def score(self, found: Tensor, *purpose: object) -> dict[str, Tensor]:
        """The scores of examples of the first records, under noise of this purpose alone."""
        with seeded(self.seed, "score", *purpose):
            return self.scorer(self.model, found, self.labels[: len(found)])

    def attack(self, entry: Entry, epsilon: float, count: int, name: str) -> Cell:
        """Attack the first `count` records and score what was found."""
        x, labels = self.x[:count], self.labels[:count]
        start = time.perf_counter()
        try:
            with seeded(self.seed, "attack", name), mean_path(self.model, entry.target):
                found = entry.attack.at(epsilon)(self.model, x, labels)
        except GradientError as error:
            content = {"distance": 0.0, "seconds": 0.0, "skipped": str(error), "no_gradient": True}
            return content, {FOUND: x.new_zeros(0)}
        except SfumatoError as error:
            raise type(error)(f"{entry.attack.name}: {error}") from error
        content = {
            "distance": mean_distance(found, x, self.norm),
            "seconds": round(time.perf_counter() - start, 3),
            "skipped": "",
            "no_gradient": False,
        }
        return content, {FOUND: found, **self.score(found, name)}


def head_of(job: Job, epsilons: tuple[float, ...]) -> dict[str, Any]:
    """What an evaluation is, as JSON values: two that differ in it may not share a folder."""
    return {
        "model": fingerprint(job.model),
        "sampling": modes_of(job.model),
        "undefended": fingerprint(job.undefended),
        "records": fingerprint(job.x, job.labels),
        "epsilons": list(epsilons),
        "norm": job.norm,
        "bounds": list(job.bounds),
        "attacks": [{"target": e.target, **_described(e.attack)} for e in job.entries],
        "scorer": asdict(job.scorer),
        "prediction": job.prediction,
        "seed": job.seed,
        "torch": torch.__version__,
    }


def _described(attack: Attack) -> dict[str, Any]:
    """The settings of an attack but for its radius, those of a module or a tensor by a digest."""
    settings = {f.name: getattr(attack, f.name) for f in fields(attack) if f.name != "epsilon"}
    made = {
        name: fingerprint(value) if isinstance(value, (nn.Module, Tensor)) else repr(value)
        for name, value in settings.items()
    }
    return {"attack": type(attack).__name__, **made}
