"""What an attack makes large: one number per record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato.errors import SettingError

Loss: TypeAlias = Literal["cross_entropy", "margin", "dlr"]


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """-log softmax(z)_y. Its gradient vanishes where the softmax is saturated."""
    return F.cross_entropy(logits, labels, reduction="none")


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """max_{j≠y} z_j - z_y: above 0 where the record is misclassified (Carlini and Wagner 2017).

    It never saturates, however large the logits are.
    """
    own = logits.gather(1, labels.unsqueeze(1)).squeeze(1)
    return _best_other(logits, labels) - own


def dlr(logits: Tensor, labels: Tensor) -> Tensor:
    """(max_{j≠y} z_j - z_y) / (z_π1 - z_π3), the difference of logits ratio (Croce and Hein 2020).

    π sorts the logits from the largest. It does not change if all logits are shifted or scaled.

    Raises:
        SettingError: fewer than three classes.
    """
    if logits.shape[1] < 3:
        raise SettingError("the dlr loss needs at least three classes: use loss='margin'")
    best = logits.topk(3, dim=1).values
    return margin(logits, labels) / (best[:, 0] - best[:, 2] + 1e-12)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": cross_entropy,
    "margin": margin,
    "dlr": dlr,
}


def loss_named(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss called `name`: from logits `[B, C]` and labels `[B]` to `[B]`.

    Raises:
        SettingError: there is no such loss.
    """
    if name not in LOSSES:
        raise SettingError(f"unknown loss {name!r}: use {', '.join(map(repr, LOSSES))}")
    return LOSSES[name]


def over_draws(loss: Callable[[Tensor, Tensor], Tensor], sample: Tensor, labels: Tensor) -> Tensor:
    """The loss of every draw: `[draws, B]` of `[draws, B, C]`."""
    draws = len(sample)
    return loss(sample.flatten(0, 1), labels.repeat(draws)).unflatten(0, (draws, len(labels)))


def _best_other(logits: Tensor, labels: Tensor) -> Tensor:
    own = F.one_hot(labels, logits.shape[1]).bool()
    return torch.where(own, -torch.inf, logits).amax(1)
