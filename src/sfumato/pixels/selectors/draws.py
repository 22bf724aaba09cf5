"""Exactly k pixels from one score per pixel: one per cell, or the k best; both in O(H·W)."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from sfumato.errors import DataError
from sfumato.noise.base import at_least_float32
from sfumato.noise.relaxed import straight_through
from sfumato.noise.source import Source
from sfumato.pixels.selectors.cells import Cells, cells


def gumbel(like: Tensor, source: Source) -> Tensor:
    """Standard Gumbel noise of the shape of `like`, in at least float32."""
    wide = at_least_float32(like)
    uniform = (source.symmetric(wide.shape, wide.dtype, wide.device) + 1) / 2
    return -(-uniform.clamp(max=1 - torch.finfo(wide.dtype).eps / 2).log()).log()


def logistic(like: Tensor, source: Source) -> Tensor:
    """Standard logistic noise, the difference of two Gumbel ones, in at least float32."""
    wide = at_least_float32(like)
    return 2 * source.symmetric(wide.shape, wide.dtype, wide.device).atanh()


def stratified(
    logits: Tensor,
    bought: Tensor,
    k: int,
    *,
    noise: Tensor | None = None,
    temperature: float = 1.0,
    centre: float = 0.0,
) -> Tensor:
    """One pixel per cell of a partition: a categorical draw of its own in every cell.

    The picture is cut into as many cells as there will be bought pixels. Cells that hold one
    already are closed; there are k others or more, and of more k that are spread over the picture.
    So rounds complete one partition. Which cells does not depend on the logits: they tell pixels
    of one cell from each other.

    With Gumbel noise the pixel is an exact draw from softmax(logits) within its cell; without, it
    is the most likely one. The gradient is that of softmax((logits + noise) / temperature),
    straight through.

    Args:
        logits: `[B, 1, H, W]`.
        bought: `[B, 1, H, W]` of 0 and 1.
        k: pixels per picture.
        noise: `[B, 1, H, W]` of `gumbel`, or None.
        temperature: of the softmax whose gradient is passed on.
        centre: how much the logits fall from a cell's centre to the middle of its sides.

    Returns:
        `[B, 1, H, W]` of 0 and 1.
    """
    before = bought.flatten(1) > 0
    scores = at_least_float32(logits).flatten(1)
    added = torch.zeros_like(scores) if noise is None else noise.flatten(1)
    size = (bought.shape[2], bought.shape[3])
    draw = partial(_one_per_cell, k=k, size=size, temperature=temperature, centre=centre)
    counts = before.sum(1)
    kinds = counts.unique().tolist()
    if len(kinds) == 1:
        mask = draw(scores, added, before, k + kinds[0])
    else:  # pictures with another number of bought pixels have another partition
        groups = [(counts == many).nonzero()[:, 0] for many in kinds]
        parts = [
            draw(scores[rows], added[rows], before[rows], k + many)
            for rows, many in zip(groups, kinds, strict=True)
        ]
        mask = torch.cat(parts)[torch.cat(groups).argsort()]
    return mask.reshape(bought.shape).to(bought)


def top_k(
    logits: Tensor,
    bought: Tensor,
    k: int,
    *,
    noise: Tensor | None = None,
    temperature: float = 1.0,
) -> Tensor:
    """The k best pixels; with Gumbel noise a draw without replacement from softmax(logits).

    Gumbel top-k as usually relaxed needs a matrix of k x H·W. Here the gradient is that of
    sigmoid((score - threshold) / temperature), straight through, with the threshold between the
    k-th and the next score and such that the relaxed mask keeps its sum: O(H·W).

    Args:
        logits: `[B, 1, H, W]`.
        bought: `[B, 1, H, W]` of 0 and 1.
        k: pixels per picture.
        noise: `[B, 1, H, W]` of `gumbel`, or None.
        temperature: of the sigmoid whose gradient is passed on.

    Returns:
        `[B, 1, H, W]` of 0 and 1.
    """
    before = bought.flatten(1) > 0
    scores = at_least_float32(logits).flatten(1)
    scores = scores if noise is None else scores + noise.flatten(1)
    open_scores = scores.detach().masked_fill(before, -torch.inf)
    many = min(k + 1, scores.shape[1])
    best, places = open_scores.topk(many, dim=1)
    hard = torch.zeros_like(scores).scatter_(1, places[:, :k], 1.0)
    if not scores.requires_grad:
        return hard.reshape(bought.shape).to(bought)
    kth, following = best[:, k - 1], best[:, -1]
    threshold = torch.where(following.isfinite(), (kth + following) / 2, kth)[:, None]
    free = (~before).to(scores)
    slope = torch.sigmoid((scores.detach() - threshold) / temperature)
    slope = slope * (1 - slope) * free
    # The derivative of the threshold that keeps the sum: the slopes' weighted mean.
    mean = (slope * scores).sum(1, keepdim=True) / slope.sum(1, keepdim=True).clamp(min=1e-30)
    soft = torch.sigmoid((scores - (threshold + mean - mean.detach())) / temperature) * free
    return straight_through(hard, soft).reshape(bought.shape).to(bought)


def _one_per_cell(
    scores: Tensor,
    noise: Tensor,
    before: Tensor,
    number: int,
    *,
    k: int,
    size: tuple[int, int],
    temperature: float,
    centre: float,
) -> Tensor:
    """`stratified` for pictures `[B, H·W]` with one number of cells."""
    grid = cells(size, number).to(scores.device)
    scores = scores + noise
    if centre:
        scores = scores - centre * grid.away.to(scores)
    of = grid.of.expand(len(scores), -1)
    found = scores.detach()
    best = found.new_full((len(found), number), -torch.inf).scatter_reduce_(1, of, found, "amax")
    pixels = torch.arange(found.shape[1], device=found.device)
    winners = torch.where(found == best.gather(1, of), pixels, found.shape[1])
    places = of.new_full(best.shape, found.shape[1]).scatter_reduce_(1, of, winners, "amin")
    if bool((places == found.shape[1]).any()):
        raise DataError("the selector's scores are NaN: train it anew, with a lower selector_lr")
    taken = _open_cells(before, grid, k)
    hard = torch.zeros_like(found).scatter_(1, places, taken.to(found))
    if not scores.requires_grad:
        return hard
    weight = ((scores - best.gather(1, of)) / temperature).exp()
    total = weight.new_zeros(best.shape).scatter_add(1, of, weight)
    soft = weight * (taken.to(weight) / total).gather(1, of)
    return straight_through(hard, soft)


def _open_cells(before: Tensor, grid: Cells, k: int) -> Tensor:
    """Which k cells `[B, n]` are taken: of those that hold no bought pixel, spread ones."""
    number = len(grid.centres)
    if number == k:
        return torch.ones(len(before), number, dtype=torch.bool, device=before.device)
    held = torch.zeros(len(before), number, device=before.device)
    held = held.scatter_add_(1, grid.of.expand_as(before), before.to(held))
    first = (held[:, grid.order] > 0).to(torch.uint8).argsort(dim=1, stable=True)[:, :k]
    taken = torch.zeros_like(held, dtype=torch.bool)
    return taken.scatter_(1, grid.order[first], True)
