"""What is left of values when the mean of their class is taken away."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def within_class(values: Tensor, labels: Tensor | None) -> Tensor:
    """`values` `[N, d]` less the mean of their class, or of all where `labels` is None."""
    if labels is None:
        return values - values.mean(0, keepdim=True)
    return values - class_means(values, labels, int(labels.max()) + 1)[labels]


def class_means(values: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """The mean of each class `[C, d]`; of all values for a class that is absent."""
    member = F.one_hot(labels, num_classes).to(values.dtype)
    count = member.sum(0).unsqueeze(1)
    means = (member.T @ values) / count.clamp(min=1)
    return torch.where(count > 0, means, values.mean(0, keepdim=True))
