"""The statistics of K draws of standard noise: mean 0, variance 1."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import final

import torch
from torch import Tensor

from sfumato.privacy.attacks.several import FLOOR, middle
from sfumato.train.seed import generator

_TIMES = 2**16
"""How often K draws are made of a law without a closed form: its figures are known to 1 %."""
_NONE = torch.empty(0)


@final
@dataclass(frozen=True)
class Standard:
    """What K draws of standard noise tell of location and scale.

    Args:
        weight: w, of the average against the median in t = w (average) + (1 - w) (median), which
            varies least.
        variance: of t.
        shift: the mean of the log sample variance.
        log_variance: its variance.
        freedom: K - 1 for Gaussian noise, whose sample variance has a law in closed form; else
            None.
        bank: t and log sample variance, each of many times K draws; empty for Gaussian noise.
    """

    weight: float
    variance: float
    shift: float
    log_variance: float
    freedom: int | None
    bank: tuple[Tensor, Tensor] = (_NONE, _NONE)


@lru_cache(maxsize=8)
def standard(gaussian: bool, releases: int) -> Standard:
    """Of Gaussian noise, exactly, or of Laplace noise, from draws that are always the same."""
    return _gaussian(releases) if gaussian else _laplace(releases)


def _gaussian(releases: int) -> Standard:
    # (K - 1) S² / σ² is χ² with K - 1 degrees of freedom, and independent of the average.
    half = torch.tensor((releases - 1) / 2, dtype=torch.float64)
    shift = float(torch.special.digamma(half) - half.log())
    return Standard(1.0, 1 / releases, shift, float(torch.special.polygamma(1, half)), releases - 1)


def _laplace(releases: int) -> Standard:
    order = generator("standard", releases)
    found = [_draws(4096, releases, order) for _ in range(_TIMES // 4096)]
    mean, median, logs = (torch.cat(parts) for parts in zip(*found, strict=True))
    weight = 1.0
    if releases > 2:
        one, two, both = mean.square().mean(), median.square().mean(), (mean * median).mean()
        weight = float((two - both) / (one + two - 2 * both))
    located = torch.lerp(median, mean, weight)
    variance = float(located.square().mean())
    return Standard(weight, variance, float(logs.mean()), float(logs.var()), None, (located, logs))


def _draws(times: int, releases: int, order: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    # The difference of two exponential variates is Laplace distributed, of variance 2.
    one, two = torch.empty(2, times, releases).exponential_(generator=order)
    z = (one - two) / 2**0.5
    return z.mean(1), middle(z), z.var(1).clamp(min=FLOOR).log()
