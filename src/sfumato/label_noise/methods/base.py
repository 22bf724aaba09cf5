"""What every method gives back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

from torch import Tensor, nn

from sfumato.label_noise.methods.job import Job


@final
@dataclass(frozen=True, eq=False)
class Fitted:
    """A network that a method has trained, and what the method found on the way.

    Args:
        model: the network of the last stage.
        matrix: the matrix of label mistakes `[C, C]` that the last stage was corrected with.
        dropped: record numbers that the last stage did not see.
    """

    model: nn.Module
    matrix: Tensor | None = None
    dropped: Tensor | None = None


@dataclass(frozen=True)
class Method(ABC):
    """Abstract: a way to learn from labels of which some are wrong.

    A method of your own is a frozen dataclass with `fit`, which trains through `job.train`; then
    it resumes and tells its progress like all others.
    """

    @abstractmethod
    def fit(self, job: Job) -> Fitted:
        """Train all stages."""
