"""What is left of values when the mean of their class is taken away."""

from __future__ import annotations

import torch
from torch import Tensor


def within_class(values: Tensor, labels: Tensor | None) -> Tensor:
    """`values` `[N, d]` less the mean of their class, or of all where `labels` is None."""
    if labels is None:
        return values - values.mean(0, keepdim=True)
    return values - class_means(values, labels, int(labels.max()) + 1)[labels]


def class_means(values: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """The mean of `values` `[N, ...]` for each class, `[C, ...]`; of all for an absent class."""
    members = [labels == c for c in range(num_classes)]
    return torch.stack([(values[m] if bool(m.any()) else values).mean(0) for m in members])
