"""What every noise law is: raw values -> valid parameters -> a sample."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution

from sfumato.noise.source import TORCH, Device, Source

Params = tuple[Tensor, ...]


class NoiseLaw(ABC):
    """A family of distributions with `num_params` parameters per element.

    A layer emits `num_params` raw tensors of one shape; `constrain` makes them valid parameters.
    Drawing is apart from the transform: `draw(shape)` gives parameter-free noise ε, and
    `transform(params, eps)` is deterministic and differentiable, so that export, replay,
    activation checkpointing and tests can supply ε themselves.

    Laws are immutable values without state: compare, copy and share them freely.
    """

    num_params: ClassVar[int]

    @abstractmethod
    def constrain(self, raw: Sequence[Tensor]) -> Params:
        """Valid parameters from `num_params` raw tensors of equal shape, in at least float32."""

    @abstractmethod
    def draw(
        self,
        shape: Sequence[int],
        *,
        dtype: torch.dtype = torch.float32,
        device: Device = None,
        source: Source = TORCH,
    ) -> Tensor:
        """Parameter-free noise ε for samples of `shape`; never drawn in less than float32."""

    @abstractmethod
    def transform(self, params: Params, eps: Tensor) -> Tensor:
        """The sample that ε stands for under `params`: deterministic and differentiable."""

    @abstractmethod
    def mean(self, params: Params) -> Tensor:
        """The mean of the law under `params`."""

    @abstractmethod
    def log_scale(self, params: Params) -> Tensor:
        """The natural logarithm of the scale: what spec 4, eq. 3 maximises (log σ), in nats."""

    @abstractmethod
    def distribution(self, params: Params) -> Distribution:
        """The same law as a `torch.distributions.Distribution`, element by element."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The constructor's arguments, as JSON values."""


def at_least_float32(values: Tensor) -> Tensor:
    """`values` in float32 if they are narrower: noise in half precision would be coarse."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
