"""What a method makes of the user's network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from torch import nn

from sfumato.label_noise.networks import (
    with_dropout,
    with_heteroscedastic_head,
    with_noise,
    with_parallel,
)


@dataclass(frozen=True)
class Change(ABC):
    """Abstract: a changed copy of a network; fields are JSON values."""

    @abstractmethod
    def __call__(self, model: nn.Module, layers: Sequence[str] | None) -> nn.Module:
        """The changed copy; `layers` are the hidden layers to change, None for all."""


@final
@dataclass(frozen=True)
class Plain(Change):
    """The network as it is."""

    def __call__(self, model: nn.Module, layers: Sequence[str] | None) -> nn.Module:
        return model


@final
@dataclass(frozen=True)
class Stochastic(Change):
    """Stochastic hidden layers (`with_noise`)."""

    def __call__(self, model: nn.Module, layers: Sequence[str] | None) -> nn.Module:
        return with_noise(model, layers)


@final
@dataclass(frozen=True)
class SecondLayer(Change):
    """A second layer beside each hidden one: the baseline of equal size (`with_parallel`)."""

    def __call__(self, model: nn.Module, layers: Sequence[str] | None) -> nn.Module:
        return with_parallel(model, layers)


@final
@dataclass(frozen=True)
class Dropout(Change):
    """Dropout behind the hidden layers (`with_dropout`).

    Args:
        rate: the probability that a value is dropped.
    """

    rate: float = 0.5

    def __call__(self, model: nn.Module, layers: Sequence[str] | None) -> nn.Module:
        return with_dropout(model, self.rate, layers)


@final
@dataclass(frozen=True)
class Heteroscedastic(Change):
    """A heteroscedastic head (`with_heteroscedastic_head`); `layers` do not matter.

    Args:
        rank: of the covariance beside its diagonal.
        samples: draws per record and call.
        temperature: τ of the softmax.
    """

    rank: int = 4
    samples: int = 32
    temperature: float = 1.0

    def __call__(self, model: nn.Module, layers: Sequence[str] | None) -> nn.Module:
        return with_heteroscedastic_head(model, self.rank, self.samples, self.temperature)
