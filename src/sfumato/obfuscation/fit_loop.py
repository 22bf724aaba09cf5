"""The training loop that both steps of a fit share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato import objectives
from sfumato.data.records import Records
from sfumato.errors import DataError
from sfumato.nn.record import record
from sfumato.obfuscation.obfuscator import Obfuscator
from sfumato.obfuscation.objective import InTraining, Weighed
from sfumato.objectives import Emission
from sfumato.train import Progress, Recipe, generator, seeded
from sfumato.train.checkpoint import load_checkpoint, save_checkpoint
from sfumato.train.seed import derive


@final
@dataclass(frozen=True, eq=False)
class FitLoop:
    """What both steps of a fit share.

    Args:
        obfuscator: is trained.
        model: a frozen classifier of releases.
        records: to train on.
        objective: what the knob weighs.
        knob: the weight of the objective.
        label_penalty: the weight of the label leak in step 1.
        seed: of orders and noise.
        purpose: tells this fit from others in a checkpoint.
        progress: called after every epoch.
    """

    obfuscator: Obfuscator
    model: nn.Module
    records: Records
    objective: Weighed
    knob: float
    label_penalty: float
    seed: int
    purpose: int
    progress: Progress

    def run(
        self, step: int, trained: list[nn.Parameter], recipe: Recipe, checkpoint: Path | None
    ) -> list[dict[str, Any]]:
        """Train `trained`, which no other parameter may disturb, and return the history."""
        records = self.records
        self.objective.prepare(records.inputs, records.labels, records.num_classes)
        optimizer = torch.optim.Adam(trained, lr=recipe.lr)
        epochs = recipe.epochs_for(len(records))
        path = checkpoint and checkpoint.with_suffix(f".step{step}{checkpoint.suffix}")
        tag = f"{derive(step, self.purpose, self.seed, len(records)):x}"
        kept = self.objective.kept_with(self.obfuscator)
        done, history = load_checkpoint(path, kept, optimizer, tag)
        for epoch in range(done, epochs):
            with seeded(self.seed, "fit", step, epoch):
                figures = self._epoch(step, optimizer, recipe, epoch, epochs)
            history.append({"step": step, "epoch": epoch + 1, **figures})
            if path is not None:
                save_checkpoint(path, epoch + 1, kept, optimizer, tag, history)
            self.progress({"step": step, "epoch": epoch + 1, "epochs": epochs, **figures})
        return history

    def _epoch(
        self, step: int, optimizer: torch.optim.Optimizer, recipe: Recipe, epoch: int, epochs: int
    ) -> dict[str, float]:
        order = torch.randperm(len(self.records), generator=generator(self.seed, step, epoch))
        batches = order.split(recipe.batch_size)
        sums = torch.zeros(3)
        for number, batch in enumerate(batches):
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate(epoch * len(batches) + number, epochs * len(batches))
            loss, figures = self._loss(step, batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            sums += len(batch) * figures
        means = (sums / len(order)).tolist()
        if not all(abs(value) < float("inf") for value in means):
            raise DataError(f"the fit diverged in epoch {epoch + 1}: lower the learning rate")
        return dict(zip(("task", "objective", "accuracy"), means, strict=True))

    def _loss(self, step: int, batch: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, and beside it task, objective and accuracy without a gradient."""
        x, labels = self.records.inputs[batch], self.records.labels[batch]
        with record(self.obfuscator) as emitted:
            release = self.obfuscator.obfuscate(x, labels if step == 1 else None)
        logits = self.model(release)
        right = (logits.detach().argmax(1) == labels).float().mean()
        mechanism = InTraining(self.obfuscator, step == 1)
        weighed = self.objective(Emission(emitted, x, labels, release, mechanism))
        task, penalty = F.cross_entropy(logits, labels), self.label_penalty
        loss = task + self.knob * weighed
        if step == 1 and penalty > 0 and self.obfuscator.num_classes is not None:
            loss = loss + penalty * self._label_leak(x, labels)
        return loss, torch.stack([task.detach(), weighed.detach(), right])

    def _label_leak(self, x: Tensor, labels: Tensor) -> Tensor:
        classes = self.records.num_classes
        other = (labels + torch.randint_like(labels, 1, max(2, classes))) % classes
        laws = (self.obfuscator.distribution(x, c) for c in (labels, other))
        return objectives.label_leak(*laws)
