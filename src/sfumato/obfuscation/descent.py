"""Adam on a few tensors of a baseline, against records and a frozen model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from sfumato.data.records import Records
from sfumato.errors import DataError
from sfumato.train import Progress, Recipe, generator, seeded, silent

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def descend(
    trained: Sequence[Tensor],
    loss: Loss,
    records: Records,
    recipe: Recipe,
    *,
    seed: int,
    phase: str,
    progress: Progress = silent,
) -> None:
    """Lower `loss(inputs, labels)` over batches of the records, in place.

    Args:
        trained: the tensors to learn; each gets `requires_grad`.
        loss: of a batch; draws from torch's global generator, which is seeded for each epoch.
        records: to train on.
        recipe: how long and how fast.
        seed: of orders and draws.
        phase: tells this descent from others with the same seed.
        progress: called after every epoch.

    Raises:
        DataError: the loss became NaN or infinite.
    """
    optimizer = torch.optim.Adam([each.requires_grad_() for each in trained], lr=recipe.lr)
    epochs = recipe.epochs_for(len(records))
    for epoch in range(epochs):
        with seeded(seed, phase, epoch):
            order = torch.randperm(len(records), generator=generator(seed, phase, epoch))
            batches, total = order.split(recipe.batch_size), 0.0
            for number, batch in enumerate(batches):
                for group in optimizer.param_groups:
                    group["lr"] = recipe.rate(epoch * len(batches) + number, epochs * len(batches))
                value = loss(records.inputs[batch], records.labels[batch])
                optimizer.zero_grad()
                value.backward()
                optimizer.step()
                total += float(value.detach()) * len(batch)
        mean = total / len(records)
        if not abs(mean) < float("inf"):
            raise DataError(f"the {phase} diverged in epoch {epoch + 1}: lower the learning rate")
        progress({"phase": phase, "epoch": epoch + 1, "epochs": epochs, "loss": mean})
