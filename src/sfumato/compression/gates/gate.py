"""A multiplicative Gaussian gate on every channel."""

from __future__ import annotations

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.errors import DataError, SettingError
from sfumato.nn.base import SamplingModule

START = -9.0
"""log σ² at the start: the network is as good as ungated."""
SPREAD = 0.01
"""Of the random start, in both parameters."""


@final
class VIBGate(SamplingModule):
    """z = μ + σ ε, one for each channel and record, multiplied onto an activation.

    Dai et al., "Compressing neural networks using the variational information bottleneck" (2018).
    Under the prior N(0, ξ) with the best ξ = μ² + σ², a gate costs ½ log(1 + μ²/σ²) nats. Where
    α = σ²/μ² is at or above `threshold`, the mean path closes the gate.

    A mean that falls to zero has α = ∞ there and stays: μ = max(raw, 0). The paper lets it turn
    negative; the weights behind the gate can do so too, and a mean of one sign can be folded into
    the filter before a rectifier without changing the function.

    Args:
        channels: of the activation, on its axis 1.
        positions: H x W of a feature map. The authors' code counts the divergence of a channel once
            for each, since all share the gate.
        threshold: of α.

    Raises:
        SettingError: a number is not above 0.
    """

    def __init__(self, channels: int, positions: int = 1, threshold: float = 1.0) -> None:
        super().__init__()
        for name, value in (("channels", channels), ("positions", positions)):
            if value < 1:
                raise SettingError(f"{name} must be at least 1, not {value}")
        if not threshold > 0:
            raise SettingError(f"threshold must be above 0, not {threshold}")
        self.channels, self.positions, self.threshold = channels, positions, threshold
        self.location = nn.Parameter(1 + SPREAD * torch.randn(channels))
        self.log_variance = nn.Parameter(START + SPREAD * torch.randn(channels))

    @property
    def mean(self) -> Tensor:
        """μ, `[C]`, at least 0."""
        return F.relu(self.location)

    @property
    def alpha(self) -> Tensor:
        """σ²/μ², `[C]`; infinite where the mean is 0."""
        return self.log_variance.exp() / self.mean.square()

    @property
    def closed(self) -> Tensor:
        """The channels whose α is at or above the threshold, `[C]` booleans."""
        return ~(self.alpha < self.threshold)

    def kl(self) -> Tensor:
        """Positions x Σ ½ log(1 + μ²/σ²), in nats: the divergence from the best prior."""
        ratio = self.mean.square() * torch.exp(-self.log_variance)
        return 0.5 * self.positions * torch.log1p(ratio).sum()

    def forward(self, x: Tensor) -> Tensor:
        """Multiply the gates on.

        Args:
            x: `[B, C, ...]`.

        Returns:
            The same shape; in the mode `"mean"`, times μ where the gate is open and 0 elsewhere.

        Raises:
            DataError: `x` has another number of channels.
        """
        if x.dim() < 2 or x.shape[1] != self.channels:
            raise DataError(
                f"a gate of {self.channels} channels takes [B, {self.channels}, ...], not "
                f"{list(x.shape)}"
            )
        gates = self._gates(len(x), x.device).to(x.dtype)
        return x * gates.reshape(*gates.shape, *(1 for _ in x.shape[2:]))

    def _gates(self, records: int, device: torch.device) -> Tensor:
        if self.mode == "mean":
            return self.mean.masked_fill(self.closed, 0.0)[None]
        # drawn in at least float32, for half precision has too few values
        eps = self.source.normal((records, self.channels), torch.float32, device)
        return self.mean + (0.5 * self.log_variance).exp() * eps

    def extra_repr(self) -> str:
        """What `print(gate)` says."""
        return f"{self.channels}, positions={self.positions}, threshold={self.threshold}"
