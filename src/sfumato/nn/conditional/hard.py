"""Hard selection: every record passes through its own class's kernel and no other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sfumato.errors import DataError
from sfumato.nn.conditional.segments import fused_by_segment, ranks, raw_by_segment, segments
from sfumato.nn.operator import Operator
from sfumato.nn.values import eager, readable


def raw_by_label(
    operator: Operator, x: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor
) -> Tensor:
    """W_c x + b_c with c the record's own class (spec 3, eq. 2 and 4), exactly.

    Args:
        operator: how a kernel acts.
        x: `[B, ...]`.
        weight: `[C, P * out, ...]`.
        bias: `[C, P * out]` or None.
        labels: `[B]`, each in 0..C-1; for a product on the last axis also one for each step,
            `[B, ...]`.

    Returns:
        Raw parameters, `[B, P * out, *spatial]`. The cost does not grow with C, save where a graph
        is traced and labels cannot be read: large matrices, and those of steps, then act on all.

    Raises:
        DataError: there are not as many labels as steps.
    """
    if labels.dim() > 1:
        _check_steps(labels, x)
        by_row = raw_by_label if readable(labels) else _of_all_classes
        rows = by_row(operator, x.flatten(0, -2), weight, bias, labels.flatten())
        return rows.unflatten(0, x.shape[:-1])
    if x.shape[0] == 0 or weight.shape[0] == 1:
        return operator.apply(x, weight[0], None if bias is None else bias[0])
    if not readable(labels):
        unread = _of_all_classes if _large_matrices(operator, weight) else _gathered
        return unread(operator, x, weight, bias, labels)
    parts = segments(labels, len(weight))
    if operator.prefers_each(x, weight.shape[1] // operator.outputs, len(parts)):
        return _gathered(operator, x, weight, bias, labels)
    fused = eager(x) and eager(weight)
    return (fused_by_segment if fused else raw_by_segment)(operator, x, weight, bias, parts)


def raw_by_module(operator: Operator, x: Tensor, kernels: Sequence[Any], labels: Tensor) -> Tensor:
    """`raw_by_label` with a module's own `weight` and `bias` for each class.

    Args:
        operator: how all of their kernels act.
        x: `[B, ...]`.
        kernels: the modules.
        labels: `[B]`, readable, or one for each step, `[B, ...]`.

    Returns:
        `[B, rows, *spatial]`. The parameters of a class that does not occur get no gradient.
    """
    if labels.dim() > 1:
        _check_steps(labels, x)
        rows = raw_by_module(operator, x.flatten(0, -2), kernels, labels.flatten())
        return rows.unflatten(0, x.shape[:-1])
    parts = segments(labels, len(kernels))
    own = [kernels[c] for c, _ in parts] or [kernels[0]]
    weights = [module.weight for module in own]
    biases = None if own[0].bias is None else [module.bias for module in own]
    if len(own) == 1:
        return operator.apply(x, weights[0], None if biases is None else biases[0])
    if operator.prefers_each(x, weights[0].shape[0] // operator.outputs, len(parts)):
        bias = None if biases is None else torch.stack(biases)
        return _gathered(operator, x, torch.stack(weights), bias, ranks(parts, len(x)))
    parts = [(rank, where) for rank, (_, where) in enumerate(parts)]
    fused = eager(x) and all(map(eager, weights))
    return (fused_by_segment if fused else raw_by_segment)(operator, x, weights, biases, parts)


def _check_steps(labels: Tensor, x: Tensor) -> None:
    if labels.shape != x.shape[:-1]:
        raise DataError(
            f"labels are {list(labels.shape)}, but the input {list(x.shape)} has the steps "
            f"{list(x.shape[:-1])}"
        )


def _large_matrices(operator: Operator, weight: Tensor) -> bool:
    """Whether a product with every class is quicker than a copy of one's own for each record.

    A copied number costs as much as about a hundred multiplications, its gradient included.
    """
    return operator.spatial == 0 and weight[0].numel() >= 1 << 14 and weight.shape[0] <= 64


def _of_all_classes(
    operator: Operator, x: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor
) -> Tensor:
    """Every class on every record, and the own one's result of it."""
    biases = [None] * len(weight) if bias is None else bias.unbind(0)
    each = [operator.apply(x, *own) for own in zip(weight.unbind(0), biases, strict=True)]
    chosen = each[0]
    for c, raw in enumerate(each[1:], 1):
        mine = (labels == c).reshape(-1, *(1,) * (raw.dim() - 1))
        chosen = torch.where(mine, raw, chosen)
    return chosen


def _gathered(
    operator: Operator, x: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor
) -> Tensor:
    """A kernel for each record, copied: for small kernels, and for labels that cannot be read."""
    own = None if bias is None else bias.index_select(0, labels)
    return operator.apply_each(x, weight.index_select(0, labels), own)
