"""Whether two samples come from one distribution, with a false-alarm probability that is proved."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def kolmogorov_smirnov(first: Tensor, second: Tensor) -> Tensor:
    """The largest distance between the distribution functions of two samples `[n, E]`: `[E]`.

    It holds for discrete values too, whose steps are compared where they end.
    """
    one, two = (sample.T.contiguous().sort().values for sample in (first, second))
    at = torch.cat([one, two], 1)
    below = [torch.searchsorted(each, at, right=True) / each.shape[1] for each in (one, two)]
    return (below[0] - below[1]).abs().amax(1)


def kolmogorov_smirnov_limit(draws: int, elements: int, false_alarm: float) -> float:
    """What the distance of one of `elements` pairs of samples exceeds with `false_alarm` at most.

    P(D > t) <= 2 exp(-n t²) for two samples of n >= 458 each (Wei and Dudley 2012), continuous or
    not.
    """
    return math.sqrt(math.log(2 * elements / false_alarm) / draws)


def sign_products(samples: Tensor, centre: Tensor) -> Tensor:
    """How the signs of two elements go together, for elements of a record and of two neighbours.

    Args:
        samples: `[n, E]`.
        centre: `[E]`, what is taken from them.

    Returns:
        The mean products `[2 E, 2 E]` over n / 2 pairs of records.
    """
    pairs = (samples - centre).sign().reshape(len(samples) // 2, -1)
    return pairs.T @ pairs / len(pairs)


def sign_limit(draws: int, elements: int, false_alarm: float) -> float:
    """What one entry of the difference of two `sign_products` exceeds with `false_alarm` at most.

    Hoeffding's inequality for the mean of n / 2 differences that lie in [-2, 2].
    """
    return math.sqrt(16 * math.log(2 * (2 * elements) ** 2 / false_alarm) / draws)
