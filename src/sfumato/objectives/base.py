"""What an objective sees of a training step, and what one with a memory is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, final

from torch import Tensor
from torch.distributions import Distribution

from sfumato.nn.record import Recording


class Releasing(Protocol):
    """What makes releases, as the records of a training step meet it."""

    def release(self, x: Tensor, labels: Tensor, /) -> Tensor:
        """One fresh release of each record, without gradient."""
        ...

    def distribution(self, x: Tensor, labels: Tensor, /) -> Distribution:
        """The law of the releases, element by element, with gradient."""
        ...


@final
@dataclass(frozen=True, eq=False)
class Emission:
    """One training step of an obfuscator, as its objective sees it.

    Args:
        recording: what the layers emitted for this batch, with gradient.
        inputs: the batch in clear, `[B, ...]`.
        labels: `[B]`.
        releases: the releases of the batch, with gradient, `[B, ...]`.
        mechanism: makes further releases, under the labels in step 1 and under the learned
            selection in step 2.
    """

    recording: Recording
    inputs: Tensor
    labels: Tensor
    releases: Tensor
    mechanism: Releasing


class Objective(ABC):
    """Abstract: an objective that needs more than what the layers emitted, or has a memory.

    `sf.fit` calls `prepare` before each of its steps, then for every batch `step` and the
    objective itself, all inside the seeded block of the epoch, so that an objective which draws
    from torch's global generator only is as reproducible as the fit. One that is `stateful` is
    kept in the checkpoint: a resumed fit ends exactly as an uninterrupted one.
    `sf.testing.ObjectiveContract` tests one.
    """

    stateful: ClassVar[bool] = False
    """Whether `state_dict` holds anything."""

    @abstractmethod
    def __call__(self, emission: Emission) -> Tensor:
        """A scalar; smaller hides more."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The settings, as JSON values: checkpoints of other settings are refused."""

    def prepare(self, inputs: Tensor, labels: Tensor, num_classes: int) -> None:  # noqa: B027 - nothing to do, by default
        """Get to know the records of the fit, `[N, ...]` and `[N]`; draws nothing."""

    def step(self, emission: Emission) -> None:  # noqa: B027 - nothing to do, by default
        """Learn from a batch, before the objective is evaluated on it."""

    def state_dict(self) -> dict[str, Any]:
        """The memory: tensors, numbers, texts, and dictionaries and lists of them."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: B027 - nothing to do, by default
        """Take over a memory, after `prepare`."""
