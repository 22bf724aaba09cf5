"""The heteroscedastic head: Gaussian noise on the logits that depends on the record."""

from __future__ import annotations

import math
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.errors import DataError, SettingError
from sfumato.nn.base import SamplingModule


@final
class HeteroscedasticHead(SamplingModule):
    """Low-rank and diagonal Gaussian noise on the logits (Collier et al. 2021, §4).

    With features φ, μ = W_μ φ + b, V(φ) of shape `[K, R]` and d(φ) > 0 of shape `[K]`, both linear
    in φ (d through softplus), and ε of `[R]` and `[K]` from N(0, 1):

        u = μ + V ε_R + d ⊙ ε_K,   p = E softmax(u / τ),

    the mean over S draws. The output is log p, so that the cross-entropy of it is the paper's loss
    and softmax of it is p. In `sampling(model, "mean")` it is μ / τ: the mean path, without draws.

    Args:
        in_features: size of φ.
        classes: K.
        rank: R; the noise has K + R degrees of freedom.
        samples: S, draws per record and call.
        temperature: τ; the paper chooses it on validation data.

    Raises:
        SettingError: a size below 1 (below 0 for the rank), or a temperature that is not above 0.
    """

    def __init__(
        self,
        in_features: int,
        classes: int,
        rank: int = 4,
        samples: int = 32,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        if min(in_features, classes, samples) < 1 or rank < 0:
            raise SettingError("features, classes and samples must be at least 1, the rank 0")
        if not 0 < temperature < math.inf:
            raise SettingError(f"the temperature must be above 0, not {temperature!r}")
        self.classes, self.rank, self.samples = classes, rank, samples
        self.temperature = temperature
        self.location = nn.Linear(in_features, classes)
        self.factors = nn.Linear(in_features, classes * rank) if rank else None
        self.diagonal = nn.Linear(in_features, classes)

    def forward(self, features: Tensor) -> Tensor:
        """Log-probabilities `[B, K]`, or logits on the mean path.

        Args:
            features: φ, `[B, in_features]`.

        Raises:
            DataError: features of another shape.
        """
        if features.dim() != 2 or features.shape[1] != self.location.in_features:
            raise DataError(
                f"the head takes features [B, {self.location.in_features}], not "
                f"{list(features.shape)}"
            )
        mean = self.location(features)
        if self.mode == "mean":
            return mean / self.temperature
        noisy = mean.float() + self._noise(features)
        logs = (noisy / self.temperature).log_softmax(-1)
        return (torch.logsumexp(logs, 0) - math.log(self.samples)).to(mean.dtype)

    def _noise(self, features: Tensor) -> Tensor:
        """Draws `[S, B, K]` around 0, in float32."""
        size = len(features)
        spread = F.softplus(self.diagonal(features).float())
        noise = spread * self._draw(size, self.classes, features)
        if self.factors is None:
            return noise
        factors = self.factors(features).float().view(size, self.classes, self.rank)
        return noise + torch.einsum("bkr,sbr->sbk", factors, self._draw(size, self.rank, features))

    def _draw(self, size: int, last: int, like: Tensor) -> Tensor:
        return self.source.normal((self.samples, size, last), torch.float32, like.device)
