"""Laws of counts: sampled exactly, with the gradient of a relaxation passed straight through."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from sfumato.errors import SettingError
from sfumato.noise.base import NoiseLaw, Params, at_least_float32
from sfumato.noise.source import TORCH, Device, Source


@dataclass(frozen=True)
class Relaxed(NoiseLaw):
    """A law whose sample counts the outcomes of `trials` independent trials.

    Every trial has noise of its own: ε is `[*shape, trials]`. The sample is the count itself,
    exactly; its gradient is that of the relaxed count, in which the choice of a trial is a sigmoid
    or a softmax at `temperature`.

    ε is drawn from a grid of 2^24 numbers (2^52 in float64): an outcome with a probability of less
    than about 1e-7 (1e-15) may never be seen.

    Args:
        trials: number of trials n, at least 1.
        temperature: of the relaxation, above 0. A low one lowers the gradient's bias and raises
            its variance.

    Raises:
        SettingError: `trials` is below 1 or no integer; `temperature` is not above 0 and finite.
    """

    trials: int
    temperature: float = 1.0
    num_params: ClassVar[int] = 1
    located: ClassVar[bool] = False

    def __post_init__(self) -> None:
        whole = isinstance(self.trials, int) and not isinstance(self.trials, bool)
        if not whole or self.trials < 1:
            raise SettingError(f"trials must be an integer of at least 1, not {self.trials!r}")
        if not 0 < self.temperature < float("inf"):
            raise SettingError(f"temperature must be above 0 and finite, not {self.temperature}")

    @abstractmethod
    def _standard(self, uniform: Tensor) -> Tensor:
        """The noise of one trial from a uniform number on (-1, 1), the ends left out."""

    def constrain(self, raw: Sequence[Tensor]) -> Params:
        (logits,) = raw
        return (at_least_float32(logits),)

    def eps_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        return (*shape, self.trials)

    def draw(
        self,
        shape: Sequence[int],
        *,
        dtype: torch.dtype = torch.float32,
        device: Device = None,
        source: Source = TORCH,
    ) -> Tensor:
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        return self._standard(source.symmetric(self.eps_shape(shape), wide, device))

    def config(self) -> dict[str, Any]:
        return asdict(self)

    def _log_pmf(self, log_p: Tensor, log_q: Tensor) -> Tensor:
        """The logarithms of P(0) ... P(n successes) `[..., n + 1]`, with q = 1 - p."""
        n = self.trials
        ways = [math.log(math.comb(n, k)) for k in range(n + 1)]
        log_ways = torch.tensor(ways, dtype=log_p.dtype, device=log_p.device)
        k = torch.arange(n + 1, dtype=log_p.dtype, device=log_p.device)
        # Finite, so that a probability of 0 times its logarithm is 0.
        least = torch.finfo(log_p.dtype).min / (2 * n)
        log_p, log_q = (log.clamp(min=least).unsqueeze(-1) for log in (log_p, log_q))
        return log_ways + k * log_p + (n - k) * log_q


def straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    """The value of `hard`, exactly, with the gradient of `soft`."""
    return hard + (soft - soft.detach())  # the bracket is exactly 0
