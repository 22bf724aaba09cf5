"""Shares that vary over a record: one class at a time, its product made, added and forgotten."""

from __future__ import annotations

from functools import reduce
from typing import Any, final

import torch
from torch import Tensor

from sfumato.nn.conditional.gradients import again, backward, needs_plain
from sfumato.nn.conditional.selection import Place
from sfumato.nn.conditional.stacked import fresh
from sfumato.nn.operator import Operator

Parts = list[tuple[int, Tensor | None]]
"""The classes that have a share, each with the records that give it one; None means all."""
Needed = tuple[bool, bool, bool]
Gradients = tuple["Tensor | None", "Tensor | None", "Tensor | None"]


def weighed_plain(
    operator: Operator, x: Tensor, weight: Tensor, pi: Tensor, place: Place
) -> Tensor:
    """Σ_c W_c (π_c ⊙ x), or Σ_c π_c ⊙ W_c x for a selection on the output, by plain operations.

    Args:
        operator: how a kernel acts.
        x: `[B, in, *spatial]`, or `[B, ..., in]`.
        weight: `[C, P * out, ...]`.
        pi: `[B or 1, C, ...]`, then as `x` (as the output for a selection on it); channels may
            be 1.
        place: where the shares lie.

    Returns:
        Raw parameters without a bias.
    """
    parts = (
        operator.apply(x * share, kernel, None)
        if place == "input"
        else _scaled(operator, operator.apply(x, kernel, None), share)
        for share, kernel in zip(pi.unbind(1), weight.unbind(0), strict=True)
    )
    return reduce(torch.add, parts)


def weighed(operator: Operator, x: Tensor, weight: Tensor, pi: Tensor, place: Place) -> Tensor:
    """The same as one node, which keeps `x`, `weight` and `pi` and nothing for each class.

    A (record, class) pair whose share is 0 everywhere is left out, unless π learns.
    """
    return _Weighed.apply(x, weight, pi, operator, place, _occurring(pi, len(x)))


def _occurring(pi: Tensor, batch: int) -> Parts:
    classes = pi.shape[1]
    if pi.requires_grad:
        return [(c, None) for c in range(classes)]
    seen = pi.flatten(2).ne(0).any(-1).expand(batch, classes).t()
    counts = seen.sum(1).tolist()
    return [
        (c, None if count == batch else seen[c].nonzero()[:, 0])
        for c, count in enumerate(counts)
        if count
    ]


@final
class _Weighed(torch.autograd.Function):
    """The graph of plain operations would keep π_c ⊙ x (or W_c x) of every class."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        pi: Tensor,
        operator: Operator,
        place: Place,
        parts: Parts,
    ) -> Tensor:
        total: Tensor | None = None
        for c, where in parts:
            seen, share = _chosen(x, where), _chosen(pi[:, c], where)
            if place == "input":
                part = operator.apply(seen * share, weight[c], None)
            else:
                part = _scaled(operator, operator.apply(seen, weight[c], None), share)
            total = _added(total, part, where, len(x))
        if total is None:  # no class has a share in anything
            total = torch.zeros_like(operator.apply(x, weight[0], None))
        ctx.save_for_backward(x, weight, pi)
        ctx.rest = operator, place, parts
        return total

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, pi = ctx.saved_tensors
        operator, place, parts = ctx.rest
        (grad,), needed = upstream, ctx.needs_input_grad[:3]
        if needs_plain(grad):

            def plain(x: Tensor, weight: Tensor, pi: Tensor) -> Tensor:
                return weighed_plain(operator, x, weight, pi, place)

            return (*again(plain, (x, weight, pi), needed, grad), None, None, None)
        to_x = torch.zeros_like(x) if needed[0] else None
        to_weight = fresh(weight, zeros=len(parts) < len(weight)) if needed[1] else None
        to_pi = torch.zeros_like(pi) if needed[2] else None
        back = _back_to_input if place == "input" else _back_to_output
        for c, where in parts:
            share = _chosen(pi[:, c], where)
            mine = _chosen(x, where), weight[c], share, _chosen(grad, where)
            part, to_kernel, to_share = back(operator, *mine, needed)
            if to_x is not None and part is not None:
                _add_to(to_x, part, where)
            if to_weight is not None and to_kernel is not None:
                to_weight[c] = to_kernel
            if to_pi is not None and to_share is not None:
                to_pi[:, c] = to_share
        return to_x, to_weight, to_pi, None, None, None


def _back_to_input(
    operator: Operator, x: Tensor, kernel: Tensor, share: Tensor, grad: Tensor, needed: Needed
) -> Gradients:
    to_x, to_weight, to_share = needed
    part, to_kernel = backward(operator, x * share, kernel, grad, to_x or to_share, to_weight)
    if part is None:
        return None, to_kernel, None
    own = (part * x).sum_to_size(share.shape) if to_share else None
    return (part * share if to_x else None), to_kernel, own


def _back_to_output(
    operator: Operator, x: Tensor, kernel: Tensor, share: Tensor, grad: Tensor, needed: Needed
) -> Gradients:
    to_x, to_weight, to_share = needed
    own: Tensor | None = None
    if to_share:  # the product is made once more: keeping it would take C times the output
        met = operator.apply(x, kernel, None) * grad
        axis = met.dim() + operator.channel_axis
        own = met.unflatten(axis, (-1, operator.outputs)).sum(axis).sum_to_size(share.shape)
    own_grad = _scaled(operator, grad, share)
    return *backward(operator, x, kernel, own_grad, to_x, to_weight), own


def _scaled(operator: Operator, raw: Tensor, share: Tensor) -> Tensor:
    """Every block of `raw` `[n, P * out, ...]` times a share `[n, out or 1, ...]`."""
    axis, share = raw.dim() + operator.channel_axis, share.to(raw.dtype)
    if share.shape[axis] == 1:
        return raw * share
    blocks = raw.unflatten(axis, (-1, operator.outputs)) * share.unsqueeze(axis)
    return blocks.flatten(axis, axis + 1)


def _chosen(values: Tensor, where: Tensor | None) -> Tensor:
    """The records of one class; what all records share stays as it is."""
    return values if where is None or len(values) == 1 else values.index_select(0, where)


def _added(total: Tensor | None, part: Tensor, where: Tensor | None, batch: int) -> Tensor:
    if total is None:
        if where is None:
            return part
        total = part.new_zeros(batch, *part.shape[1:])
    _add_to(total, part, where)
    return total


def _add_to(total: Tensor, part: Tensor, where: Tensor | None) -> None:
    part = part.to(total.dtype)
    if where is None:
        total.add_(part)
    else:
        total.index_add_(0, where, part)
