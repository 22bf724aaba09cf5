"""The best pixels that keep a distance from each other."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from sfumato.noise.base import at_least_float32

_BY_SCORE, _BY_CHANCE = 24, 200


def spaced(scores: Tensor, bought: Tensor, k: int, spacing: int) -> Tensor:
    """Pixels by falling score, each at least `spacing` rows or columns from every other.

    As if the best pixel were taken, its surroundings closed, the next best taken, and so on; but
    all pixels that are the best of their surroundings at once. Where there is no room for k, the
    rest is chosen with a smaller spacing, at last with none. Equal scores are taken in an order
    that spreads them.

    Args:
        scores: `[B, 1, H, W]`.
        bought: `[B, 1, H, W]` of 0 and 1; none of it is chosen, and it keeps its distance too.
        k: pixels per picture.
        spacing: 1 for no distance.

    Returns:
        `[B, 1, H, W]` of 0 and 1.
    """
    rank = _ranks(at_least_float32(scores).detach())
    taken = torch.zeros_like(rank, dtype=torch.bool)
    before = bought > 0
    for distance in range(spacing, 1, -1):
        missing = k - taken.flatten(1).sum(1)
        if not bool((missing > 0).any()):
            break
        taken = taken | _apart(rank, before | taken, missing, distance)
    missing = k - taken.flatten(1).sum(1)
    taken = taken | _first(rank.masked_fill(before | taken, 0), missing)
    return taken.to(bought)


def _apart(rank: Tensor, closed: Tensor, missing: Tensor, distance: int) -> Tensor:
    """At most `missing` pixels per picture that keep the distance from what is closed."""
    window = 2 * distance - 1
    # Each pixel taken closes a window: the greedy choice never looks at more than these.
    candidates = _first(
        rank.masked_fill(_around(closed, window), 0), missing.clamp(min=0) * window**2
    )
    room, taken = rank * candidates, torch.zeros_like(candidates)
    for step in range(_BY_CHANCE):
        if step == _BY_SCORE:  # on a long slope the best of a window are few: draw lots
            room = _dither(rank) * (room > 0)
        found = (room > 0) & (room == max_pool2d(room, window, 1, distance - 1))
        taken = taken | found
        room = room * ~_around(found, window)
        if _settled(rank, taken, room, missing):
            break
    return _first(rank * taken, missing)


def _settled(rank: Tensor, taken: Tensor, room: Tensor, missing: Tensor) -> bool:
    """Whether nothing is left that could still belong to the best."""
    if not bool((room > 0).any()):
        return True
    best_left = room.flatten(1).amax(1)[:, None]
    return bool((((rank * taken).flatten(1) > best_left).sum(1) >= missing).all())


def _around(mask: Tensor, window: int) -> Tensor:
    return max_pool2d(mask.float(), window, 1, window // 2) > 0


def _first(rank: Tensor, many: Tensor) -> Tensor:
    """The `many` `[B]` highest ranks above 0 of every picture, as a mask."""
    flat = rank.flatten(1)
    most = min(max(int(many.max()), 0), flat.shape[1])
    best, places = flat.topk(most, dim=1)
    wanted = (torch.arange(most, device=flat.device) < many[:, None]) & (best > 0)
    mask = torch.zeros_like(flat, dtype=torch.bool).scatter_(1, places, wanted)
    return mask.reshape(rank.shape)


def _ranks(scores: Tensor) -> Tensor:
    """From 1 for the worst pixel to H·W for the best, all different."""
    flat = scores.flatten(1)
    order = _dither(scores[:1]).flatten().argsort()
    places = order[flat[:, order].argsort(dim=1, stable=True)]
    numbers = torch.arange(1, flat.shape[1] + 1, device=flat.device, dtype=torch.float64)
    ranks = torch.zeros_like(flat, dtype=torch.float64)
    return ranks.scatter_(1, places, numbers.expand_as(ranks)).reshape(scores.shape)


def _dither(like: Tensor) -> Tensor:
    """Numbers above 0 that are all different and spread evenly over every neighbourhood."""
    height, width = like.shape[2:]
    rows = torch.arange(height, device=like.device, dtype=torch.float64)[:, None]
    columns = torch.arange(width, device=like.device, dtype=torch.float64)
    spread = (rows * 0.7548776662466927 + columns * 0.5698402909980532) % 1 + 1e-9
    return spread.expand(like.shape)
