"""What the attacker knows: everything but the draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, final

import torch
from torch import Tensor
from torch.distributions import Distribution


class Mechanism(Protocol):
    """What makes releases, an `Obfuscator` for example."""

    def release(self, x: Tensor, labels: Tensor, /) -> Tensor:
        """One fresh release of each record."""
        ...

    def distribution(self, x: Tensor, selection: Tensor, /) -> Distribution:
        """The law of the release, element by element."""
        ...


@final
@dataclass(frozen=True)
class Knowledge:
    """Auxiliary records of the same distribution, their labels, and the mechanisms in full.

    Args:
        inputs: auxiliary records `[N, ...]`; none of them is attacked.
        labels: `[N]`.
        num_classes: number of classes.
        mechanisms: one for each release that the attacker holds of a record.
    """

    inputs: Tensor
    labels: Tensor
    num_classes: int
    mechanisms: Sequence[Mechanism]

    @torch.no_grad()
    def draw(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """Fresh releases, flat and side by side: `[B, releases * size]`."""
        parts = [m.release(inputs, labels).flatten(1) for m in self.mechanisms]
        return torch.cat(parts, dim=1)

    @torch.no_grad()
    def moments(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of the releases, flat and side by side, without drawing."""
        means, variances = [], []
        for mechanism in self.mechanisms:
            law = mechanism.distribution(inputs, labels)
            means.append(law.mean.flatten(1))
            variances.append(law.variance.flatten(1))
        return torch.cat(means, 1), torch.cat(variances, 1)

    def class_means(self, values: Tensor) -> Tensor:
        """The mean of `values` `[N, d]` for each class, `[C, d]`; of all for an absent class."""
        means = [
            values[self.labels == c].mean(0) if bool((self.labels == c).any()) else values.mean(0)
            for c in range(self.num_classes)
        ]
        return torch.stack(means)
