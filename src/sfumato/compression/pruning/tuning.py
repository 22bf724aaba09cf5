"""Some steps of training between two removals."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn, optim

from sfumato.compression.counting import evaluating
from sfumato.errors import DataError
from sfumato.train import Batch, BatchLoss, Recipe, generator, predictions, seeded
from sfumato.train.loop import Augment


def tune(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    optimizer: optim.Optimizer,
    recipe: Recipe,
    *,
    steps: int,
    loss: BatchLoss,
    augment: Augment | None,
    seed: int,
    row: int,
) -> None:
    """Train for a few steps, with the noise on, in an order of the row's own.

    Raises:
        DataError: the loss became NaN or infinite.
    """
    if steps == 0:
        return
    model.train()
    order = _order(len(inputs), steps * recipe.batch_size, seed, row)
    with seeded(seed, "tune", row):
        for step, rows in enumerate(order.split(recipe.batch_size)):
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate(step, steps)
            x, done = inputs[rows], step / steps
            x = x if augment is None else augment(x, rows, done)
            value = loss(model, Batch(x, labels[rows], rows, done))
            if not math.isfinite(float(value.detach())):
                raise DataError(
                    f"the loss became {float(value.detach())} after removal {row}: lower the "
                    "learning rate of the recipe"
                )
            optimizer.zero_grad()
            value.backward()
            optimizer.step()


def _order(count: int, wanted: int, seed: int, row: int) -> Tensor:
    """`wanted` record numbers: as many whole passes over the records as are needed."""
    random = generator(seed, "order", row)
    passes = [torch.randperm(count, generator=random) for _ in range(math.ceil(wanted / count))]
    return torch.cat(passes)[:wanted]


def wrong(model: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """The share of records that the mean path gets wrong."""
    with evaluating(model):
        right = int((predictions(model, inputs) == labels).sum())
    return (len(labels) - right) / len(labels)
