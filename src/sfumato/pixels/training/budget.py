"""How many pixels a step buys, and how a budget is split over rounds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from sfumato.errors import SettingError

Budget = int | tuple[int, int]
"""Pixels per picture: the same in every step, or drawn anew from the least to the most."""


def check_budget(budget: Budget, pixels: int) -> tuple[int, int]:
    """The least and the most pixels per picture of a budget.

    Raises:
        SettingError: less than one pixel, all of them, or more at first than at last.
    """
    pair = (budget, budget) if isinstance(budget, int) else tuple(budget)
    least, most = pair if len(pair) == 2 else (0, 0)
    if not 1 <= least <= most < pixels:
        raise SettingError(
            f"a budget is from 1 to {pixels - 1} of the {pixels} pixels of a picture, or a pair "
            f"(least, most), not {budget}"
        )
    return least, most


def draw_budget(least: int, most: int) -> int:
    """A budget drawn so that each doubling is as likely as another."""
    if least == most:
        return least
    exponent = math.log(least) + float(torch.rand(())) * math.log(most / least)
    return min(most, max(least, round(math.exp(exponent))))


def split_rounds(k: int, rounds: int | Sequence[float]) -> list[int]:
    """A budget of k pixels split over rounds, each at least 1 pixel.

    Args:
        k: pixels per picture in all.
        rounds: their number, or their shares, such as (0.5, 0.25, 0.25).

    Raises:
        SettingError: no rounds, more of them than pixels, or a share that is not above 0.

    Example:
        >>> split_rounds(10, 3), split_rounds(48, (0.5, 0.25, 0.25))
        ([4, 3, 3], [24, 12, 12])
    """
    shares = [1.0] * rounds if isinstance(rounds, int) else list(rounds)
    if not 1 <= len(shares) <= k or not min(shares) > 0:
        raise SettingError(f"{k} pixels cannot be bought in rounds of {rounds}")
    total, portions, left = sum(shares), [], k
    for number, share in enumerate(shares):
        after = len(shares) - number - 1
        portion = math.ceil(left * share / total - 1e-9)
        portions.append(max(1, min(portion, left - after)))
        left, total = left - portions[-1], total - share
    return portions
