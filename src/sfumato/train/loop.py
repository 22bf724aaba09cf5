"""The plain training loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.errors import DataError, SettingError
from sfumato.train.checkpoint import load_checkpoint, save_checkpoint
from sfumato.train.recipe import Recipe
from sfumato.train.seed import derive, generator, seeded

Progress: TypeAlias = Callable[[dict[str, Any]], None]
Augment: TypeAlias = Callable[[Tensor, Tensor, float], Tensor]


def silent(_: dict[str, Any]) -> None:
    """A progress that shows nothing."""


def train_classifier(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    recipe: Recipe,
    *,
    seed: int,
    augment: Augment | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> None:
    """Train `model` in place with the cross-entropy.

    The order of the records, the screening and all noise of an epoch are seeded by `seed` and the
    epoch, so that a run that was interrupted ends exactly as one that was not.

    Args:
        model: takes `[B, ...]`, gives logits `[B, C]`.
        inputs: `[N, ...]`.
        labels: `[N]`.
        recipe: how long and how fast.
        seed: of this training.
        augment: changes a batch before the model sees it; gets the batch, its record numbers, and
            the part of the training that is behind, in [0, 1).
        checkpoint: a file that holds the state after every epoch; training resumes from it.
        progress: called after every epoch with epoch, epochs and loss.

    Raises:
        DataError: the loss became NaN or infinite.
        SettingError: the model gives something other than logits for every class.
        StoreError: the checkpoint is damaged or of another run.
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.lr)
    epochs = recipe.epochs_for(len(inputs))
    tag = f"{derive(recipe, seed, len(inputs)):x}"
    done, _ = load_checkpoint(checkpoint, model, optimizer, tag)
    for epoch in range(done, epochs):
        with seeded(seed, "epoch", epoch):
            loss = _epoch(model, inputs, labels, recipe, seed, epoch, epochs, optimizer, augment)
        if checkpoint is not None:
            save_checkpoint(checkpoint, epoch + 1, model, optimizer, tag)
        progress({"epoch": epoch + 1, "epochs": epochs, "loss": loss})


def _epoch(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    recipe: Recipe,
    seed: int,
    epoch: int,
    epochs: int,
    optimizer: torch.optim.Optimizer,
    augment: Augment | None,
) -> float:
    model.train()
    order = torch.randperm(len(inputs), generator=generator(seed, "order", epoch))
    batches = order.split(recipe.batch_size)
    total, classes = 0.0, int(labels.max()) + 1
    for number, batch in enumerate(batches):
        step, steps = epoch * len(batches) + number, epochs * len(batches)
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(step, steps)
        x = inputs[batch]
        logits = model(x if augment is None else augment(x, batch, step / steps))
        _check_logits(logits, batch, classes)
        loss = F.cross_entropy(logits, labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += float(loss.detach()) * len(batch)
    mean = total / len(inputs)
    if not mean < float("inf"):
        raise DataError(f"the loss became {mean} in epoch {epoch + 1}: lower the learning rate")
    return mean


def _check_logits(logits: Tensor, batch: Tensor, classes: int) -> None:
    if logits.dim() != 2 or len(logits) != len(batch) or logits.shape[1] < classes:
        raise SettingError(
            f"the model must give logits [{len(batch)}, {classes} or more] for {len(batch)} "
            f"records of {classes} classes, not {list(logits.shape)}"
        )


@torch.no_grad()
def predictions(model: nn.Module, inputs: Tensor, batch_size: int = 1024) -> Tensor:
    """Class predictions `[N]` of a model in evaluation mode."""
    before = model.training
    model.eval()
    try:
        return torch.cat([model(x).argmax(1) for x in inputs.split(batch_size)])
    finally:
        model.train(before)


def accuracy(model: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """The share of records whose class the model predicts, in [0, 1]."""
    return float((predictions(model, inputs) == labels).float().mean())
