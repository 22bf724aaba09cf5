"""Hard selection: every record passes through its own class's kernel and no other."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato.nn.operator import Operator
from sfumato.nn.values import readable


def raw_by_label(
    operator: Operator, x: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor
) -> Tensor:
    """W_c x + b_c with c the record's own class (spec 3, eq. 2 and 4), exactly.

    Args:
        operator: how a kernel acts.
        x: `[B, ...]`.
        weight: `[C, P * out, ...]`.
        bias: `[C, P * out]` or None.
        labels: `[B]`, each in 0..C-1.

    Returns:
        Raw parameters, `[B, P * out, *spatial]`. The cost does not grow with C.
    """
    if x.shape[0] == 0 or weight.shape[0] == 1:
        return operator.apply(x, weight[0], None if bias is None else bias[0])
    blocks = weight.shape[1] // operator.outputs
    if not readable(labels) or operator.prefers_each(x, blocks, weight.shape[0]):
        own_bias = None if bias is None else bias.index_select(0, labels)
        return operator.apply_each(x, weight.index_select(0, labels), own_bias)
    return _by_segment(operator, x, weight, bias, labels)


def _by_segment(
    operator: Operator, x: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor
) -> Tensor:
    # Sorting the records by class turns B small products into one for each class present.
    order = labels.argsort(stable=True)
    counts = torch.bincount(labels, minlength=len(weight)).tolist()
    segments = x.index_select(0, order).split(counts)
    # unbind, not weight[c]: the latter makes a full-size zero gradient for every class.
    kernels = weight.unbind(0)
    biases = [None] * len(kernels) if bias is None else bias.unbind(0)
    parts = [
        operator.apply(segment, kernel, own)
        for segment, kernel, own in zip(segments, kernels, biases, strict=True)
        if len(segment)
    ]
    return torch.cat(parts).index_select(0, order.argsort())
