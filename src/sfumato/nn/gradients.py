"""The gradients of one kernel's product, for the nodes that go from class to class."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._C._functorch import is_legacy_batchedtensor

from sfumato.nn.operator import ConvOperator, LinearOperator, Operator
from sfumato.nn.product import product
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


def prefers_one_call(operator: Operator) -> bool:
    """Whether the gradient of the input is quicker with a kernel for each record.

    On few channels a convolution's is slow (3 channels: 3.5 ms of 5.3 for the whole step, and 2.7
    with a kernel for each record).
    """
    return isinstance(operator, ConvOperator) and _simple(operator) and operator.inputs <= 16


def backward_each(operator: Operator, x: Tensor, kernels: Tensor, upstream: Tensor) -> Tensor:
    """The gradient of `x` where record b has its own kernel, `[B, rows, in, ...]`."""
    assert isinstance(operator, ConvOperator)


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
    gradient: Tensor | None = None
    if to_kernel and _prefers_windows(kernel, upstream):
        rows = upstream.transpose(0, 1).reshape(kernel.shape[0], -1)
        gradient = product(rows, _windows(operator, x)).view(kernel.shape)
        if not to_x:
            return None, gradient
    mask = [to_x, to_kernel and gradient is None, False]
    sides = operator._pads()[::-2]
    to_input, found, _ = torch.ops.aten.convolution_backward(
        upstream, x, kernel, None, operator.stride, sides, operator.dilation,
        False, [0] * operator.spatial, 1, mask,
    )  # fmt: skip
    return (to_input if to_x else None), (found if mask[1] else gradient)


def _prefers_windows(kernel: Tensor, upstream: Tensor) -> bool:
    # On a CPU a convolution's kernel gradient is rearranged at the end, number by number. Copying
    # out the windows and taking a matrix product is quicker where there are fewer places than
    # kernels (256 channels, 8 x 8: 3 ms against 6 for three records).
    if kernel.device.type != "cpu" or kernel.dtype != torch.float32:
        return False
    places = upstream.shape[0] * upstream.shape[2:].numel()
    return kernel.numel() >= 1 << 18 and places < kernel.shape[0]


def _windows(operator: ConvOperator, x: Tensor) -> Tensor:
    """What each weight meets: `[in * window, n * places]`."""
    seen = F.pad(x, operator._pads())
    for axis in range(operator.spatial):
        gap = operator.dilation[axis]
        span = gap * (operator.kernel_size[axis] - 1) + 1
        seen = seen.unfold(2 + axis, span, operator.stride[axis])[..., ::gap]
    spatial = range(2, 2 + operator.spatial)
    window = range(2 + operator.spatial, seen.dim())
    places = len(x) * seen.shape[2 : 2 + operator.spatial].numel()
    return seen.permute(1, *window, 0, *spatial).reshape(-1, places)


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
