"""A problem that is learned in a few steps, a network with noise of its own, cells for workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sfumato.train import Recipe

RECIPE = Recipe(epochs=4, min_steps=1, batch_size=16, lr=1e-2)


def problem(count: int = 40) -> tuple[Tensor, Tensor]:
    """Two clouds, `[N, 6]`, and their labels."""
    labels = torch.arange(count) % 2
    inputs = torch.randn(count, 6, generator=torch.Generator().manual_seed(3))
    return inputs + 2 * labels.unsqueeze(1), labels


def network(seed: int = 0) -> nn.Module:
    """With dropout and batch statistics: an epoch depends on random numbers and on state."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2)
    )


def same_state(one: nn.Module, other: nn.Module) -> bool:
    """Whether all weights and buffers are equal bit by bit."""
    states = one.state_dict(), other.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def square(number: int) -> dict[str, int]:
    return {"square": number * number}


def noted(number: int, folder: Path) -> int:
    """Leave a mark for every time that the cell was computed."""
    path = folder / str(number)
    path.write_text(path.read_text() + "x" if path.exists() else "x", encoding="utf-8")
    return number


def broken(number: int) -> Any:
    raise RuntimeError(f"cell {number} is broken")


def threads() -> int:
    return torch.get_num_threads()
