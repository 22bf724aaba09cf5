"""Records sorted by class as one node of the graph: a product for each class that occurs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

import torch
from torch import Tensor

from sfumato.nn.conditional.gradients import again, at_once, backward, input_gradient, needs_plain
from sfumato.nn.conditional.stacked import fresh
from sfumato.nn.operator import Operator
from sfumato.noise.base import at_least_float32

Segments = list[tuple[int, Tensor]]
Kernels = Tensor | Sequence[Tensor]
"""The kernels (or biases) of the classes, stacked or one by one."""


def segments(labels: Tensor, classes: int) -> Segments:
    """The classes that occur, each with the positions of its records, in their order."""
    order = labels.argsort(stable=True)
    counts = torch.bincount(labels, minlength=classes).tolist()
    return [(c, where) for c, where in enumerate(order.split(counts)) if len(where)]


def raw_by_segment(
    operator: Operator, x: Tensor, kernels: Kernels, biases: Kernels | None, parts: Segments
) -> Tensor:
    """W_c x + b_c by plain operations, one product for each class that occurs."""
    # unbind, not weight[c]: the latter makes a full-size zero gradient for every class.
    weights = kernels.unbind(0) if isinstance(kernels, Tensor) else kernels
    own = biases.unbind(0) if isinstance(biases, Tensor) else biases
    found = [
        operator.apply(_take(x, where), weights[c], None if own is None else own[c])
        for c, where in parts
    ]
    order = torch.cat([where for _, where in parts])
    return torch.cat(found).index_select(0, order.argsort())


def fused_by_segment(
    operator: Operator, x: Tensor, kernels: Kernels, biases: Kernels | None, parts: Segments
) -> Tensor:
    """The same in one node, which keeps `x` and the kernels and no copy of either."""
    if isinstance(kernels, Tensor):
        return _Stacked.apply(x, kernels, biases, operator, parts)
    return _OneByOne.apply(x, operator, parts, *kernels, *(biases or ()))


@final
class _Stacked(torch.autograd.Function):
    """Kernels `[C, rows, ...]`: every gradient is written in its place in one stacked gradient.

    Plain operations would make a gradient for each class first, and stack them then.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        operator: Operator,
        parts: Segments,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, bias)
        ctx.operator, ctx.parts = operator, parts
        return _forward(operator, x, weight, bias, parts)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        (x, weight, bias), (grad,) = ctx.saved_tensors, upstream
        operator, parts, needed = ctx.operator, ctx.parts, ctx.needs_input_grad[:3]
        if needs_plain(grad):

            def plain(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
                return raw_by_segment(operator, x, weight, bias, parts)

            return (*again(plain, (x, weight, bias), needed, grad), None, None)
        to_weight = fresh(weight, zeros=len(parts) < len(weight)) if needed[1] else None
        store = None if to_weight is None else to_weight.__setitem__
        to_x = _backward(operator, x, weight, grad, parts, needed[0], store)
        to_bias = None
        if needed[2]:
            to_bias = torch.zeros_like(bias)
            classes = torch.tensor([c for c, _ in parts], device=bias.device)
            to_bias[classes] = _bias_gradients(operator, grad, parts).to(bias.dtype)
        return to_x, to_weight, to_bias, None, None


@final
class _OneByOne(torch.autograd.Function):
    """Kernels, then as many biases or none, one tensor each; all of them occur."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, operator: Operator, parts: Segments, *kernels: Tensor
    ) -> Tensor:
        ctx.save_for_backward(x, *kernels)
        ctx.operator, ctx.parts = operator, parts
        weights, biases = kernels[: len(parts)], kernels[len(parts) :]
        return _forward(operator, x, weights, biases or None, parts)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        (x, *kernels), (grad,) = ctx.saved_tensors, upstream
        operator, parts, count = ctx.operator, ctx.parts, len(ctx.parts)
        to_x, _, _, *needed = ctx.needs_input_grad
        if needs_plain(grad):

            def plain(x: Tensor, *kernels: Tensor) -> Tensor:
                biases = kernels[count:] or None
                return raw_by_segment(operator, x, kernels[:count], biases, parts)

            for_x, *found = again(plain, (x, *kernels), (to_x, *needed), grad)
            return for_x, None, None, *found
        gradients: dict[int, Tensor] = {}
        store = gradients.__setitem__ if any(needed[:count]) else None
        for_x = _backward(operator, x, kernels[:count], grad, parts, to_x, store)
        if any(needed[count:]):
            biases = _bias_gradients(operator, grad, parts)
            gradients.update({count + i: own for i, own in enumerate(biases)})
        found = [
            gradients[i].to(kernel.dtype) if need else None
            for i, (kernel, need) in enumerate(zip(kernels, needed, strict=True))
        ]
        return for_x, None, None, *found


def _forward(
    operator: Operator, x: Tensor, kernels: Kernels, biases: Kernels | None, parts: Segments
) -> Tensor:
    out: Any = None
    for c, where in parts:
        part = operator.apply(_take(x, where), kernels[c], None if biases is None else biases[c])
        out = _put(out, part, where, len(x))
    return out


def _backward(
    operator: Operator,
    x: Tensor,
    kernels: Kernels,
    grad: Tensor,
    parts: Segments,
    to_x: bool,
    store: Callable[[int, Tensor], None] | None,
) -> Tensor | None:
    """The gradient of `x`; those of the kernels are stored class by class."""
    for_x: Tensor | None = None
    if to_x and at_once(operator, kernels[parts[0][0]]):
        own = torch.stack([kernels[c] for c, _ in parts])
        for_x, to_x = input_gradient(operator, x, own, ranks(parts, len(x)), grad), False
    for c, where in parts:
        mine = _take(x, where), kernels[c], _take(grad, where)
        part, to_kernel = backward(operator, *mine, to_x, store is not None)
        if store is not None and to_kernel is not None:
            store(c, to_kernel)
        if part is not None:
            for_x = _put(for_x, part.to(x.dtype), where, len(x))
    return for_x


def _take(values: Tensor, where: Tensor) -> Tensor:
    return values if len(where) == len(values) else values.index_select(0, where)


def _put(whole: Tensor | None, part: Tensor, where: Tensor, size: int) -> Tensor:
    """`whole`, of `size` records, with `part` at the places `where`."""
    if len(part) == size:
        return part
    if whole is None:
        whole = part.new_empty(size, *part.shape[1:])
    return whole.index_copy_(0, where, part)


def _bias_gradients(operator: Operator, grad: Tensor, parts: Segments) -> Tensor:
    """The gradient of the bias of each class that occurs, `[len(parts), rows]`."""
    axis = grad.dim() + operator.channel_axis
    others = [a for a in range(1, grad.dim()) if a != axis]
    grad = at_least_float32(grad)
    each = grad.sum(others) if others else grad
    total = each.new_zeros(len(parts), each.shape[1])
    return total.index_add_(0, ranks(parts, len(each)), each)


def ranks(parts: Segments, size: int) -> Tensor:
    """For each of `size` records the rank of its class among those that occur."""
    found = torch.empty(size, dtype=torch.long, device=parts[0][1].device)
    for rank, (_, where) in enumerate(parts):
        found[where] = rank
    return found
