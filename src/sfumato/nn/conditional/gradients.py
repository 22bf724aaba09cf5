"""The gradients of one kernel's product, for the nodes that go from class to class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeGuard

import torch
from torch import Tensor
from torch._C._functorch import is_legacy_batchedtensor

from sfumato.nn.conditional.product import product
from sfumato.nn.operator import ConvOperator, LinearOperator, Operator
from sfumato.nn.values import eager

Gradients = tuple["Tensor | None", "Tensor | None"]


def backward(
    operator: Operator, x: Tensor, kernel: Tensor, upstream: Tensor, to_x: bool, to_kernel: bool
) -> Gradients:
    """The gradients of `operator.apply(x, kernel, None)`.

    Args:
        operator: how the kernel acts.
        x: `[n, ...]`.
        kernel: `[rows, ...]`.
        upstream: the gradient of the result.
        to_x: whether the gradient of `x` is needed.
        to_kernel: whether that of the kernel is.

    Returns:
        The gradients of `x` and of the kernel; None where it is not needed.
    """
    x, kernel = x.to(upstream.dtype), kernel.to(upstream.dtype)  # as autocast did on the way
    if not (to_x or to_kernel):
        return None, None
    if isinstance(operator, LinearOperator):
        return _linear(x, kernel, upstream, to_x, to_kernel)
    if isinstance(operator, ConvOperator) and _simple(operator):
        return _convolution(operator, x, kernel, upstream, to_x, to_kernel)
    return _by_autograd(operator, x, kernel, upstream, to_x, to_kernel)


def at_once(operator: Operator, kernel: Tensor) -> TypeGuard[ConvOperator]:
    """Whether the gradient of the input is quicker in one call, with a kernel for each record.

    On few channels a convolution's is slow on a CPU: 3.5 of 5.3 ms for 128 records of 3 channels,
    2.7 in one call.
    """
    few = kernel.shape[1] <= 16 and kernel.numel() <= 1 << 13 and kernel.device.type == "cpu"
    return isinstance(operator, ConvOperator) and few and _simple(operator)


def input_gradient(
    operator: ConvOperator, x: Tensor, kernels: Tensor, which: Tensor, upstream: Tensor
) -> Tensor:
    """The gradient of `x` `[B, ...]` where record b has the kernel `kernels[which[b]]`."""
    count, none = len(x), [0] * operator.spatial
    own = kernels.to(upstream.dtype).index_select(0, which).flatten(0, 1)
    packed = upstream.reshape(1, -1, *upstream.shape[2:]), x.reshape(1, -1, *x.shape[2:])
    sides = operator._pads()[::-2]
    found, _, _ = torch.ops.aten.convolution_backward(
        packed[0], packed[1].to(upstream.dtype), own, None, operator.stride, sides,
        operator.dilation, False, none, count, [True, False, False],
    )  # fmt: skip
    return found.reshape(x.shape).to(x.dtype)


def needs_plain(upstream: Tensor) -> bool:
    """Whether gradients are to be differentiated again, or one tensor stands for many of them."""
    return torch.is_grad_enabled() or not eager(upstream) or is_legacy_batchedtensor(upstream)


def again(
    plain: Callable[..., Tensor],
    inputs: Sequence[Tensor | None],
    needed: Sequence[bool],
    upstream: Tensor,
) -> list[Tensor | None]:
    """The gradients by plain operations: these can be differentiated again, and vectorised."""
    further = torch.is_grad_enabled()
    wanted = {i: value for i, value in enumerate(inputs) if needed[i] and value is not None}
    with torch.enable_grad():
        result = plain(*inputs).to(upstream.dtype)
    found = torch.autograd.grad(
        result, list(wanted.values()), upstream, create_graph=further, allow_unused=True
    )
    by_place = dict(zip(wanted, found, strict=True))
    return [by_place.get(i) for i in range(len(inputs))]


def _linear(x: Tensor, kernel: Tensor, upstream: Tensor, to_x: bool, to_kernel: bool) -> Gradients:
    gradient: Tensor | None = None
    if to_kernel:
        rows, records = upstream.reshape(-1, kernel.shape[0]), x.reshape(-1, kernel.shape[1])
        gradient = product(rows.t().contiguous(), records.t().contiguous())
    return (upstream @ kernel if to_x else None), gradient


def _simple(operator: ConvOperator) -> bool:
    """Whether torch's own backward pass takes this convolution as it is."""
    pads = operator._pads()
    return operator.groups == 1 and operator.padding_mode == "zeros" and pads[::2] == pads[1::2]


def _convolution(
    operator: ConvOperator, x: Tensor, kernel: Tensor, upstream: Tensor, to_x: bool, to_kernel: bool
) -> Gradients:
    sides = operator._pads()[::-2]
    found = torch.ops.aten.convolution_backward(
        upstream, x, kernel, None, operator.stride, sides, operator.dilation,
        False, [0] * operator.spatial, 1, [to_x, to_kernel, False],
    )  # fmt: skip
    return (found[0] if to_x else None), (found[1] if to_kernel else None)


def _by_autograd(
    operator: Operator, x: Tensor, kernel: Tensor, upstream: Tensor, to_x: bool, to_kernel: bool
) -> Gradients:
    """For groups and for padding other than zeros, at the price of one more forward pass."""
    with torch.enable_grad():
        x = x.detach().requires_grad_(to_x)
        kernel = kernel.detach().requires_grad_(to_kernel)
        wanted = [leaf for leaf in (x, kernel) if leaf.requires_grad]
        found = list(torch.autograd.grad(operator.apply(x, kernel, None), wanted, upstream))
    gradient = found.pop() if to_kernel else None
    return (found.pop() if to_x else None), gradient
