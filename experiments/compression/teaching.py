"""What the unpruned networks of a seed say, for smaller ones to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from experiments.compression.shifts import Shifts
from sfumato.compression import Distillation
from sfumato.train import Batch, BatchLoss


class Several(nn.Module):
    """The mean logits of some networks."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, x: Tensor) -> Tensor:
        """Logits `[B, C]`."""
        return torch.stack([network(x) for network in self.networks]).mean(0)


@torch.no_grad()
def answers(teacher: nn.Module, inputs: Tensor, shifts: Shifts) -> Tensor:
    """What a teacher says of every copy of every record, `[copies, N, C]`, in half precision."""
    teacher.eval()
    rows = []
    for code in range(shifts.copies):
        parts = inputs.split(500)
        said = [teacher(shifts.copy(x, torch.full((len(x),), code))) for x in parts]
        rows.append(torch.cat(said).half())
    return torch.stack(rows)


@dataclass(frozen=True, eq=False)
class Looked:
    """Distillation from a teacher whose answers are known already.

    Args:
        table: `[copies, N, C]`, of `answers`.
        shifts: the change of pictures that the training has.
        weight: of distillation.
        temperature: of it.
    """

    table: Tensor
    shifts: Shifts
    weight: float
    temperature: float

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """The loss of one batch, a scalar."""
        codes = self.shifts.codes(batch.index, batch.progress)
        said = self.table[codes, batch.index].to(batch.x)
        return Distillation(_Said(said), self.weight, self.temperature)(model, batch)


def distilled(
    teacher: nn.Module | Tensor, shifts: Shifts, weight: float, temperature: float
) -> BatchLoss:
    """The loss of learning from a network, or from the table of its answers."""
    if isinstance(teacher, Tensor):
        return Looked(teacher, shifts, weight, temperature)
    return Distillation(teacher, weight, temperature)


class _Said(nn.Module):
    """A teacher of one batch."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, _: Tensor) -> Tensor:
        return self.logits
