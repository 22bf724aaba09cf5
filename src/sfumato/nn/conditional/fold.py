"""Shares that are the same all over a record: the kernels merge, and act once."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor

from sfumato.nn.conditional.gradients import again, needs_plain
from sfumato.nn.conditional.selection import Place, Shares
from sfumato.nn.conditional.stacked import fresh
from sfumato.nn.operator import Operator
from sfumato.nn.values import eager


def merged_kernels(
    operator: Operator, weight: Tensor, bias: Tensor | None, shares: Shares
) -> tuple[Tensor, Tensor | None]:
    """Σ_c π_c ⊙ W_c `[n, P * out, ...]` and Σ_c π̄_c b_c `[n, P * out]`; n is 1 or the batch."""
    pi = shares.values.flatten(2).to(weight.dtype)  # [n, C, channels or 1]
    classes, rows, width = weight.shape[:3]
    if pi.shape[2] == 1 and pi.shape[0] != 1:
        flat = pi[..., 0]
        kernel = (flat @ weight.reshape(classes, -1)).reshape(-1, *weight.shape[1:])
        return kernel, None if bias is None else flat @ bias
    pi = pi.reshape(pi.shape[0], classes, 1, *_channel_axes(operator, pi.shape[2], shares.place), 1)
    split = (classes, -1, operator.groups, operator.outputs // operator.groups)
    kernel = _weighted_sum(pi, weight.reshape(*split, width, weight[0, 0, 0].numel()))
    kernel = kernel.reshape(-1, *weight.shape[1:])
    if bias is None:
        return kernel, None
    # The window of an output covers all channels of its group: the bias takes their mean share.
    return kernel, _weighted_sum(pi.mean(5), bias.reshape(*split, 1)).reshape(-1, rows)


def _channel_axes(operator: Operator, channels: int, place: Place) -> tuple[int, int, int]:
    """Where the channels of π lie among a kernel's axes (group, output, input)."""
    if channels == 1:
        return 1, 1, 1
    each = channels // operator.groups
    return (operator.groups, 1, each) if place == "input" else (operator.groups, each, 1)


def _weighted_sum(pi: Tensor, values: Tensor) -> Tensor:
    """Σ_c π_c ⊙ v_c: `pi` `[n, C, ...]`, `values` `[C, ...]`; axes of size 1 are shared."""
    if pi.shape[0] == 1 and eager(pi) and eager(values):
        return _WeightedSum.apply(pi[0], values).unsqueeze(0)
    return torch.einsum("nc...,c...->n...", pi, values)


@final
class _WeightedSum(torch.autograd.Function):
    """Memory is what it costs: every class is read once, its gradient written in its place."""

    @staticmethod
    def forward(ctx: Any, pi: Tensor, values: Tensor) -> Tensor:
        ctx.save_for_backward(pi, values)
        total = pi[0] * values[0]
        for share, own in zip(pi[1:], values[1:], strict=True):
            total.addcmul_(share, own)
        return total

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        pi, values = ctx.saved_tensors
        (grad,), (to_pi, to_values) = upstream, ctx.needs_input_grad
        if needs_plain(grad):

            def plain(pi: Tensor, values: Tensor) -> Tensor:
                return (pi * values).sum(0)

            return tuple(again(plain, (pi, values), (to_pi, to_values), grad))
        for_pi = torch.zeros_like(pi) if to_pi else None
        for_values = fresh(values, zeros=False) if to_values else None
        for c, share in enumerate(pi):
            if for_pi is not None:
                for_pi[c] = (grad * values[c]).sum_to_size(share.shape)
            if for_values is not None:
                torch.mul(grad, share, out=for_values[c])
        return for_pi, for_values
