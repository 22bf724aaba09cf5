"""A Gaussian law fitted to draws, for a mechanism that does not state its own."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor
from torch.distributions import Normal

from sfumato.data.records import Records
from sfumato.objectives.within import class_means
from sfumato.privacy.knowledge import Mechanism


@final
class FittedLaw:
    """y ~ N(ν_c + (x - m_c) A, s²): the linear map that explains releases best, and what is left.

    A is a ridge regression of fresh releases on their records, the class means taken off both; s²
    is the squared error that remains, element by element.

    Args:
        mechanism: what makes the releases.
        records: the attacker's own records.
    """

    def __init__(self, mechanism: Mechanism, records: Records) -> None:
        self.mechanism = mechanism
        inputs, labels = records.inputs, records.labels
        releases = mechanism.release(inputs, labels)
        self.shape = releases.shape[1:]
        x, y = inputs.flatten(1).double(), releases.flatten(1).double()
        self.centres = class_means(x, labels, records.num_classes)
        self.locations = class_means(y, labels, records.num_classes)
        x, y = x - self.centres[labels], y - self.locations[labels]
        squares = x.T @ x
        squares.diagonal().add_(1e-3 * squares.diagonal().mean().clamp(min=1e-12))
        self.gain = torch.linalg.solve(squares, x.T @ y)
        error = (y - x @ self.gain).square().mean(0)
        self.scale = error.clamp(min=1e-12 * float(error.mean().clamp(min=1e-12))).sqrt()

    def release(self, x: Tensor, labels: Tensor) -> Tensor:
        """One fresh release of each record, of the mechanism itself."""
        return self.mechanism.release(x, labels)

    def distribution(self, x: Tensor, selection: Tensor) -> Normal:
        """The fitted law of the release, element by element."""
        deviation = x.flatten(1).double() - self.centres[selection]
        mean = (self.locations[selection] + deviation @ self.gain).reshape(-1, *self.shape)
        return Normal(mean, self.scale.reshape(self.shape).expand_as(mean))
