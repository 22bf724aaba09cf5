"""What was certified, as figures."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from sfumato.errors import SettingError

ABSTAIN = -1


@final
@dataclass(frozen=True, eq=False)
class Certificates:
    """A certificate for each record, L2 and nothing else.

    Args:
        predictions: `[N]`, int64; -1 where the smoothed classifier abstains.
        radii: `[N]`, L2, in units of the records; 0 where it abstains.
        labels: `[N]`, int64.
        sigma: scale of the noise.
        n0: draws for the guess.
        n: draws for the bound.
        alpha: probability that the statement about a record is false.
    """

    predictions: Tensor
    radii: Tensor
    labels: Tensor
    sigma: float
    n0: int
    n: int
    alpha: float

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def abstained(self) -> float:
        """The share of records without a prediction."""
        return float((self.predictions == ABSTAIN).double().mean())

    @property
    def average_radius(self) -> float:
        """The mean radius, 0 for wrong and abstained records (Zhai et al. 2020)."""
        return float((self.radii * (self.predictions == self.labels)).mean())

    @property
    def largest(self) -> float:
        """The radius of a record all of whose `n` draws agree: there is no larger one."""
        p = self.alpha ** (1 / self.n)
        return self.sigma * float(torch.special.ndtri(torch.tensor(p, dtype=torch.float64)))

    def accuracy(self, radius: float = 0.0) -> float:
        """The share of records that are right and certified to at least `radius`, in [0, 1]."""
        if not radius >= 0:
            raise SettingError(f"a radius must be at least 0, not {radius}")
        right = self.predictions == self.labels
        return float((right & (self.radii >= radius)).double().mean())

    def curve(self, radii: Iterable[float]) -> list[float]:
        """`accuracy` at each of `radii`."""
        return [self.accuracy(radius) for radius in radii]

    def accuracy_bound(self, radius: float, rho: float = 0.001) -> float:
        """What the true certified accuracy is at least, with probability 1 - rho.

        Some of N statements are false when each is so with probability alpha. By Bernstein's
        inequality the share that is true is above `accuracy` by no less than
        -alpha - sqrt(2 alpha (1 - alpha) log(1 / rho) / N) - log(1 / rho) / (3 N)
        (Cohen et al. 2019, appendix on the certified test set accuracy).
        """
        if not 0 < rho < 1:
            raise SettingError(f"rho must lie inside (0, 1), not {rho}")
        log, n = math.log(1 / rho), len(self)
        slack = math.sqrt(2 * self.alpha * (1 - self.alpha) * log / n) + log / (3 * n)
        return max(0.0, self.accuracy(radius) - self.alpha - slack)

    def to_json(self) -> dict[str, Any]:
        """The certificates as JSON values."""
        return {
            "sigma": self.sigma, "n0": self.n0, "n": self.n, "alpha": self.alpha,
            "predictions": self.predictions.tolist(),
            "radii": self.radii.tolist(),
            "labels": self.labels.tolist(),
        }  # fmt: skip

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Certificates:
        """What `to_json` made `content` of."""
        return cls(
            torch.tensor(content["predictions"], dtype=torch.int64),
            torch.tensor(content["radii"], dtype=torch.float64),
            torch.tensor(content["labels"], dtype=torch.int64),
            **{name: content[name] for name in ("sigma", "n0", "n", "alpha")},
        )
