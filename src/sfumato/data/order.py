"""An order of records in which every prefix looks like the whole."""

from __future__ import annotations

import heapq
import math

import torch
from torch import Tensor

SPLIT_SEED = 0
"""The seed of every split that sfumato makes by itself, so that it is the same everywhere."""


def stratified_order(labels: Tensor, seed: int) -> Tensor:
    """A permutation of the records of which every prefix has the class shares of the whole.

    Nested parts (5 %, 10 %, 15 % ...) are prefixes of it. In a prefix of m records, a class of n
    of the N records stands fewer than one record off m n / N.

    Args:
        labels: `[N]`, one label per record.
        seed: which of the many such permutations.

    Returns:
        A LongTensor `[N]` of record numbers.
    """
    generator = torch.Generator().manual_seed(seed)
    members = []
    for value in labels.unique():
        own = (labels == value).nonzero().squeeze(1)
        members.append(own[torch.randperm(len(own), generator=generator)].tolist())
    ranks = torch.randperm(len(members), generator=generator).tolist()  # breaks ties, no favourite
    turns = _turns([len(own) for own in members], ranks)
    places = [iter(own) for own in members]
    return torch.tensor([next(places[turn]) for turn in turns], dtype=torch.int64)


def _turns(counts: list[int], ranks: list[int]) -> list[int]:
    """Whose turn it is at each of the sum(counts) places: Tijdeman's chairman assignment.

    The k-th record of a class may not come before its release time nor after its deadline; taking
    the earliest deadline among those released keeps every class within one record of its share.
    """
    total = sum(counts)
    slack = 1 / (2 * len(counts) - 2) if len(counts) > 1 else 0.0
    waiting: list[tuple[int, int]] = [(0, turn) for turn in range(len(counts))]
    heapq.heapify(waiting)
    ready: list[tuple[float, int, int]] = []
    used = [0] * len(counts)
    order = []
    for place in range(total):
        while waiting and (waiting[0][0] <= place or not ready):
            _, turn = heapq.heappop(waiting)
            deadline = (used[turn] + 1 - slack) * total / counts[turn]
            heapq.heappush(ready, (deadline, ranks[turn], turn))
        turn = heapq.heappop(ready)[2]
        order.append(turn)
        used[turn] += 1
        if used[turn] < counts[turn]:
            # released at the first place m (from 1) with m * share - used >= slack
            first = math.ceil((used[turn] + slack) * total / counts[turn] - 1e-9)
            heapq.heappush(waiting, (first - 1, turn))
    return order


def stratified_split(
    labels: Tensor, fraction: float, seed: int = SPLIT_SEED
) -> tuple[Tensor, Tensor]:
    """Two disjoint, sorted sets of record numbers, the second with `fraction` of the records."""
    order = stratified_order(labels, seed)
    kept = len(order) - round(fraction * len(order))
    return order[:kept].sort().values, order[kept:].sort().values
