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
    located: ClassVar[bool] = True
    """Whether the first parameter is a location: it can be bounded, and a network's own output can
    be it. A law without one (counts, categories) takes every parameter from a kernel."""

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
        """Parameter-free noise ε of `eps_shape(shape)` for samples of `shape`.

        It is never drawn in less than float32.
        """

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

    def eps_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape of the ε that a sample of `shape` takes; the batch axis stays first."""
        return tuple(shape)

    def over(self, axis: int) -> NoiseLaw:
        """This law for samples whose channels lie on `axis`, counted from the end.

        Only a law that ties channels together (categories) is another one then.
        """
        del axis
        return self

    def entropy(self, params: Params) -> Tensor:
        """The entropy in nats, of each element (of each event where a law ties elements)."""
        return self.distribution(params).entropy()

    def draw_from(self, raw: Tensor, axis: int) -> Tensor:
        """A fresh sample straight from raw values, with the `num_params` blocks stacked on `axis`.

        The value is that of `transform(constrain(blocks), draw())` under the same seed. A law may
        override it with something quicker; layers call it only in eager mode, on plain tensors.
        """
        params = self.constrain(raw.chunk(self.num_params, axis))
        location = params[0]
        eps = self.draw(location.shape, dtype=location.dtype, device=location.device)
        return self.transform(params, eps)


def at_least_float32(values: Tensor) -> Tensor:
    """`values` in float32 if they are narrower: noise in half precision would be coarse."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
