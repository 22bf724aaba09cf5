"""Spaced picks are the greedy choice, and k of them whatever happens."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sfumato.pixels.selectors import spaced


def greedy(scores: Tensor, bought: Tensor, k: int, spacing: int) -> set[tuple[int, int]]:
    """One pixel after the other, by falling score."""
    taken: list[tuple[int, int]] = []
    held = [tuple(place) for place in bought[0, 0].nonzero().tolist()]
    width = scores.shape[3]
    for pixel in scores.flatten().argsort(descending=True).tolist():
        row, column = divmod(pixel, width)
        apart = all(max(abs(row - r), abs(column - c)) >= spacing for r, c in [*held, *taken])
        if len(taken) < k and apart:
            taken.append((row, column))
    return set(taken)


@pytest.mark.parametrize("spacing", [1, 2, 4])
def test_it_is_the_greedy_choice(spacing: int) -> None:
    for _ in range(5):
        scores, bought = torch.rand(1, 1, 20, 17), (torch.rand(1, 1, 20, 17) < 0.02).float()
        mask = spaced(scores, bought, 6, spacing)
        found = {tuple(place) for place in mask[0, 0].nonzero().tolist()}
        assert found == greedy(scores, bought, 6, spacing)


def test_a_slope_takes_the_highest_that_fit() -> None:
    scores = torch.arange(40.0).expand(1, 1, 1, 40)
    mask = spaced(scores, 0 * scores, 5, 3)
    assert mask.nonzero()[:, 3].tolist() == [27, 30, 33, 36, 39]


def test_a_long_slope_ends() -> None:
    scores = torch.arange(900.0).expand(1, 1, 1, 900)
    mask = spaced(scores, 0 * scores, 200, 4)
    places = mask.nonzero()[:, 3]
    assert len(places) == 200
    assert places.diff().min() >= 3  # what room is left by lot is filled with less spacing


def test_without_room_the_spacing_gives_way() -> None:
    scores, bought = torch.rand(2, 1, 8, 8), torch.zeros(2, 1, 8, 8)
    bought[0, 0, 0] = 1
    for k in (16, 30, 56):
        mask = spaced(scores, bought, k, 3)
        assert mask.flatten(1).sum(1).tolist() == [k, k]
        assert not (mask * bought).any()


def test_equal_scores_are_spread() -> None:
    mask = spaced(torch.zeros(1, 1, 32, 32), torch.zeros(1, 1, 32, 32), 64, 2)
    quarters = mask.unfold(2, 16, 16).unfold(3, 16, 16).sum((4, 5)).flatten()
    assert quarters.min() >= 12
