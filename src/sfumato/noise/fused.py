"""The draw of a location-scale law as one node of the graph that keeps one tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor

from sfumato.errors import SettingError
from sfumato.noise.softplus import scale_and_slope

Fill = Callable[[Tensor], Tensor]
BLOCK = 1 << 17  # numbers per step: draw, softplus and product then stay in the cache


def fused_draw(raw: Tensor, axis: int, min_scale: float, fill: Fill) -> Tensor:
    """Sample μ + (softplus(r) + min_scale) ε from raw [μ; r] stacked on `axis`; ε is drawn inside.

    Args:
        raw: real numbers in float32 or float64.
        axis: where μ and r are stacked.
        min_scale: the smallest scale.
        fill: overwrites a contiguous tensor with standard draws and returns it.
    """
    if raw.requires_grad and torch.is_grad_enabled():
        return _FusedDraw.apply(raw, axis, min_scale, fill)
    return _draw(raw, axis, min_scale, fill, None)


@final
class _FusedDraw(torch.autograd.Function):
    """∂h/∂μ = 1 and ∂h/∂r = ε sigmoid(r): that product is all the backward pass needs.

    So one tensor of the sample's size is kept, where plain operations keep three.
    """

    @staticmethod
    def forward(ctx: Any, raw: Tensor, axis: int, min_scale: float, fill: Fill) -> Tensor:
        location = raw.narrow(axis, 0, raw.shape[axis] // 2)
        slope = torch.empty(location.shape, dtype=raw.dtype, device=raw.device)
        sample = _draw(raw, axis, min_scale, fill, slope)
        ctx.save_for_backward(slope)
        ctx.axis = axis
        return sample

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None, None]:
        if torch.is_grad_enabled():
            raise SettingError(
                "a second derivative through a layer's own draw: make the forward pass inside "
                "`with sf.record(model)`, which keeps what it needs, or pass the noise, eps=..."
            )
        (slope,), (grad,) = ctx.saved_tensors, upstream
        shape = list(slope.shape)
        shape[ctx.axis] *= 2
        total = grad.new_empty(shape).contiguous(memory_format=_format(grad))
        location, raw_scale = total.chunk(2, ctx.axis)
        for step in _steps(slope):
            location[step].copy_(grad[step])
            torch.mul(grad[step], slope[step], out=raw_scale[step])
        return total, None, None, None


def _draw(raw: Tensor, axis: int, min_scale: float, fill: Fill, slope: Tensor | None) -> Tensor:
    """The sample; ε sigmoid(r) goes to `slope`."""
    location, raw_scale = raw.chunk(2, axis)
    sample = torch.empty_like(location)  # in the memory format of the raw values
    for step in _steps(sample):
        part = sample[step]
        eps = fill(part.new_empty(part.shape) if slope is None else slope[step])
        scale, own_slope = scale_and_slope(raw_scale[step], min_scale)
        torch.addcmul(location[step], scale, eps, out=sample[step])
        if slope is not None:
            eps.mul_(own_slope)
    return sample


def _format(values: Tensor) -> torch.memory_format:
    last = values.dim() == 4 and values.is_contiguous(memory_format=torch.channels_last)
    plain = values.is_contiguous() or not last
    return torch.contiguous_format if plain else torch.channels_last


def _steps(sample: Tensor) -> list[slice]:
    """The first axis in slices of about `BLOCK` numbers; on an accelerator in one."""
    rows = len(sample)
    if sample.device.type != "cpu" or sample.numel() <= BLOCK:
        return [slice(0, rows)]
    each = sample[0].numel()
    step = max(1, BLOCK // each)
    # Torch draws 16 numbers at a time: slices of another size would shift the stream of draws.
    while step < rows and step * each % 16:
        step += 1
    steps = [slice(start, min(start + step, rows)) for start in range(0, rows, step)]
    if len(steps) > 1 and sample[steps[-1]].numel() < 16:
        steps[-2:] = [slice(steps[-2].start, rows)]
    return steps
