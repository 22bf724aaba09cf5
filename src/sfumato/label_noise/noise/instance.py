"""Instance-dependent noise: what a record looks like decides whether and how it is mistaken."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from sfumato.errors import DataError, SettingError
from sfumato.label_noise.checks import check_share
from sfumato.label_noise.noise.base import LabelNoise


@final
@dataclass(frozen=True)
class InstanceFlips(LabelNoise):
    """The parts of a record decide which class it is mistaken for (Xia et al. 2020, appendix).

    Record i gets a flip rate q_i ~ N(p, spread²), truncated to [0, 1], and with one random kernel
    `W_k ~ N(0, 1)` of shape `[D, C]` per class k

        P(ỹ = j | x_i, y_i = k) = q_i softmax_{j ≠ k}(x_i W_k)_j,  P(ỹ = k | ...) = 1 - q_i.

    Large or many-valued records make the softmax nearly hard: equal records are then mistaken for
    the same class. The mean of q_i differs from p where the truncation bites: it is 0.13 at
    p = 0.1, with the paper's spread. What happened is the rate of the result. At p = 0 no label is
    wrong.

    Args:
        probability: p.
        spread: the standard deviation of the flip rates, above 0; 0.1 in the paper.

    Raises:
        SettingError: p outside of [0, 1], or a spread that is not in (0, 1].
    """

    spread: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share("the spread of the flip rates", self.spread)
        if self.spread == 0:
            raise SettingError("the spread of the flip rates must be above 0")

    def _draw(
        self, clean: Tensor, inputs: Tensor | None, classes: int
    ) -> tuple[Tensor, Tensor, None]:
        if inputs is None:
            raise DataError("instance-dependent noise needs the records: give inputs as well")
        rates = truncated_normal(len(clean), self.probability, self.spread)
        rates = rates if self.probability > 0 else torch.zeros_like(rates)
        flat = inputs.detach().cpu().flatten(1)
        drawn = clean.clone()
        matrix = torch.eye(classes, dtype=torch.float64)
        for own in range(classes):
            mine = (clean == own).nonzero().squeeze(1)
            kernel = torch.randn(flat.shape[1], classes, dtype=torch.float64)
            if len(mine) == 0:
                continue
            scores = flat[mine].double() @ kernel
            scores[:, own] = -math.inf
            chances = scores.softmax(1) * rates[mine].unsqueeze(1)
            chances[:, own] = 1 - rates[mine]
            drawn[mine] = torch.multinomial(chances, 1).squeeze(1)
            matrix[own] = chances.mean(0)
        return drawn, matrix, None


def truncated_normal(count: int, mean: float, spread: float) -> Tensor:
    """Draws `[count]` of N(mean, spread²) that lie in [0, 1], by inversion, in float64."""
    low, high = (_cumulative((end - mean) / spread) for end in (0.0, 1.0))
    uniform = torch.rand(count, dtype=torch.float64) * (high - low) + low
    return (mean + spread * torch.special.ndtri(uniform)).clamp(0, 1)


def _cumulative(z: float) -> float:
    return 0.5 * (1 + math.erf(z / math.sqrt(2)))
