"""The plain training loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.errors import DataError, SettingError
from sfumato.train.checkpoint import load_checkpoint, save_checkpoint
from sfumato.train.identity import tag_of
from sfumato.train.recipe import Recipe
from sfumato.train.seed import generator, seeded

Progress: TypeAlias = Callable[[dict[str, Any]], None]
Augment: TypeAlias = Callable[[Tensor, Tensor, float], Tensor]


@final
@dataclass(frozen=True)
class Batch:
    """What a loss sees of one step.

    Args:
        x: inputs `[B, ...]`, augmented.
        labels: `[B]`, or whatever is trained on.
        index: record numbers `[B]`.
        progress: the part of the training that is behind, in [0, 1).
    """

    x: Tensor
    labels: Tensor
    index: Tensor
    progress: float


BatchLoss: TypeAlias = Callable[[nn.Module, Batch], Tensor]


def cross_entropy(model: nn.Module, batch: Batch) -> Tensor:
    """The mean cross-entropy of a batch: the loss of `train_classifier` where none is given.

    Raises:
        SettingError: the model gives something other than logits for every class.
    """
    logits = model(batch.x)
    _check_logits(logits, batch.labels)
    return F.cross_entropy(logits, batch.labels)


def silent(_: dict[str, Any]) -> None:
    """A progress that shows nothing."""


def train_classifier(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    recipe: Recipe,
    *,
    seed: int,
    loss: BatchLoss = cross_entropy,
    augment: Augment | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> None:
    """Train `model` in place with the cross-entropy, or with a loss of yours.

    The order of the records, the screening and all noise of an epoch are seeded by `seed` and the
    epoch, so that a run that was interrupted ends exactly as one that was not.

    Args:
        model: takes `[B, ...]`, gives logits `[B, C]`.
        inputs: `[N, ...]`.
        labels: `[N]`.
        recipe: how long and how fast.
        seed: of this training.
        loss: takes the model and a `Batch`, gives a scalar.
        augment: changes a batch before the model sees it; gets the batch, its record numbers, and
            the part of the training that is behind, in [0, 1).
        checkpoint: a file that holds the state after every epoch; training resumes from it.
        progress: called after every epoch with epoch, epochs and loss.

    Raises:
        DataError: the loss became NaN or infinite, or there is nothing to learn from.
        SettingError: the model gives something other than logits for every class.
        StoreError: the checkpoint is damaged or of another run.
    """
    if len(inputs) == 0 or len(inputs) != len(labels):
        raise DataError(f"{len(inputs)} records with {len(labels)} labels cannot be learned from")
    optimizer = recipe.optimizer_for(model)
    epochs = recipe.epochs_for(len(inputs))
    # Another loss or other records would go on from what these have taught.
    tag = "" if checkpoint is None else tag_of(recipe, seed, loss, inputs, labels)
    done, _ = load_checkpoint(checkpoint, model, optimizer, tag)
    for epoch in range(done, epochs):
        with seeded(seed, "epoch", epoch):
            mean = _epoch(
                model, inputs, labels, recipe, seed, epoch, epochs, optimizer, loss, augment
            )
        if checkpoint is not None:
            save_checkpoint(checkpoint, epoch + 1, model, optimizer, tag)
        progress({"epoch": epoch + 1, "epochs": epochs, "loss": mean})


def _epoch(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    recipe: Recipe,
    seed: int,
    epoch: int,
    epochs: int,
    optimizer: torch.optim.Optimizer,
    loss: BatchLoss,
    augment: Augment | None,
) -> float:
    model.train()
    order = torch.randperm(len(inputs), generator=generator(seed, "order", epoch))
    batches = _batches(order, recipe.batch_size)
    total = 0.0
    for number, batch in enumerate(batches):
        step, steps = epoch * len(batches) + number, epochs * len(batches)
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(step, steps)
        x, done = inputs[batch], step / steps
        x = x if augment is None else augment(x, batch, done)
        value = loss(model, Batch(x, labels[batch], batch, done))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        total += float(value.detach()) * len(batch)
    mean = total / len(inputs)
    if not mean < float("inf"):
        raise DataError(f"the loss became {mean} in epoch {epoch + 1}: lower the learning rate")
    return mean


def _batches(order: Tensor, size: int) -> tuple[Tensor, ...]:
    """Batches of so many records; a single last one joins those before: batch norm needs two."""
    batches = order.split(size)
    if len(batches) > 1 and len(batches[-1]) == 1:
        return *batches[:-2], torch.cat(batches[-2:])
    return batches


def _check_logits(logits: Tensor, labels: Tensor) -> None:
    size, classes = len(labels), int(labels.max()) + 1
    if logits.dim() != 2 or len(logits) != size or logits.shape[1] < classes:
        raise SettingError(
            f"the model must give logits [{size}, {classes} or more] for {size} records with "
            f"labels up to {classes - 1}, not {list(logits.shape)}"
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
