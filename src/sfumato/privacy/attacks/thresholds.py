"""How well one score tells two groups apart."""

from __future__ import annotations

import torch
from torch import Tensor


def area(members: Tensor, others: Tensor) -> float:
    """The probability that a member scores above another record; ties count one half (AUC)."""
    both = torch.cat([members, others]).double()
    _, inverse, counts = both.unique(return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    ranks = (last - (counts - 1) / 2)[inverse[: len(members)]]  # mean rank among equals, from 1
    n = len(members)
    return float((ranks.sum() - n * (n + 1) / 2) / (n * len(others)))


def caught_at(members: Tensor, others: Tensor, false_alarms: float) -> float:
    """The share of members above the threshold that at most `false_alarms` of the others pass."""
    allowed = int(false_alarms * len(others))
    threshold = others.sort(descending=True).values[allowed]
    return float((members > threshold).double().mean())


def best_threshold(members: Tensor, others: Tensor) -> float:
    """The score above which records are called members, for the best balanced accuracy."""
    levels = torch.cat([members, others]).unique()
    caught = 1 - torch.searchsorted(members.sort().values, levels, right=True) / len(members)
    alarms = 1 - torch.searchsorted(others.sort().values, levels, right=True) / len(others)
    return float(levels[(caught - alarms).argmax()])


def balanced(called_members: Tensor, called_others: Tensor) -> float:
    """The mean of the shares of members called members and of others called others."""
    return float((called_members.double().mean() + 1 - called_others.double().mean()) / 2)
