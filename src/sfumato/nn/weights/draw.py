"""Drawing Gaussian weights and their divergence in one node of the graph.

A million normals cost more than the matrix product they go into, so everything around the draw is
done while its numbers are in the cache, and what the backward pass can compute again is not kept.
"""

from __future__ import annotations

import math
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato.nn.weights.prior import GaussianPrior
from sfumato.noise.softplus import scale_and_slope

BLOCK = 1 << 17  # numbers per step


def draw_weight(location: Tensor, raw: Tensor, min_scale: float) -> Tensor:
    """W = μ + (softplus(r) + min_scale) ε, ε ~ N(0, 1) (spec 1, eq. 6 and 12)."""
    if torch.is_grad_enabled() and (location.requires_grad or raw.requires_grad):
        return _GaussianWeight.apply(location, raw, min_scale, None, True)[0]
    return _drawn(location, raw, min_scale)


def draw_weight_and_kl(
    location: Tensor, raw: Tensor, min_scale: float, prior: GaussianPrior
) -> tuple[Tensor, Tensor]:
    """The draw, and KL(N(μ, σ²) || prior) summed over the weights, in nats."""
    return _GaussianWeight.apply(location, raw, min_scale, prior, True)


def gaussian_kl(location: Tensor, raw: Tensor, min_scale: float, prior: GaussianPrior) -> Tensor:
    """KL(N(μ, σ²) || N(m, s²)) = Σ [log(s / σ) + (σ² + (μ - m)²) / (2 s²) - 1/2], in nats."""
    _, kl = _GaussianWeight.apply(location, raw, min_scale, prior, False)
    return kl


def squared_scale(raw: Tensor, min_scale: float) -> Tensor:
    """σ² = (softplus(r) + min_scale)²."""
    return _SquaredScale.apply(raw, min_scale)


def _drawn(location: Tensor, raw: Tensor, min_scale: float) -> Tensor:
    """The draw alone, for no one to differentiate."""
    weight = location.new_empty(location.shape)
    flat = location.reshape(-1), raw.reshape(-1), weight.view(-1)
    for step in _steps(location):
        mean, own_raw, out = (values[step] for values in flat)
        scale, _ = scale_and_slope(own_raw, min_scale)
        torch.addcmul(mean, scale, out.normal_(), out=out)
    return weight


@final
class _SquaredScale(torch.autograd.Function):
    """∂σ²/∂r = 2 σ sigmoid(r); nothing is kept beside r."""

    @staticmethod
    def forward(ctx: Any, raw: Tensor, min_scale: float) -> Tensor:
        ctx.save_for_backward(raw)
        ctx.min_scale = min_scale
        out = raw.new_empty(raw.shape)
        flat, squares = raw.reshape(-1), out.view(-1)
        for step in _steps(raw):
            scale, _ = scale_and_slope(flat[step], min_scale)
            torch.mul(scale, scale, out=squares[step])
        return out

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None]:
        (raw,), (grad,) = ctx.saved_tensors, upstream
        if torch.is_grad_enabled():  # a second derivative is wanted: plain operations
            return grad * 2 * (F.softplus(raw) + ctx.min_scale) * raw.sigmoid(), None
        out = grad.new_empty(grad.shape)
        flat, given, slopes = raw.reshape(-1), grad.reshape(-1), out.view(-1)
        for step in _steps(raw):
            scale, slope = scale_and_slope(flat[step], ctx.min_scale)
            scale.mul_(slope).mul_(2)
            torch.mul(scale, given[step], out=slopes[step])
        return out, None


@final
class _GaussianWeight(torch.autograd.Function):
    """Outputs (w, KL); either can be left out.

    ∂w/∂μ = 1, ∂w/∂r = ε sigmoid(r); ∂KL/∂μ = (μ - m) / s²,
    ∂KL/∂r = (σ / s² - 1 / σ) sigmoid(r). Only ε sigmoid(r) is kept beside the parameters.
    """

    @staticmethod
    def forward(
        ctx: Any,
        location: Tensor,
        raw: Tensor,
        min_scale: float,
        prior: GaussianPrior | None,
        draw: bool,
    ) -> tuple[Tensor, Tensor]:
        weight = location.new_empty(location.shape if draw else 0)
        slope = torch.empty_like(weight)
        parts = [location.new_zeros(())]
        flat = (location.reshape(-1), raw.reshape(-1), weight.view(-1), slope.view(-1))
        for step in _steps(location):
            mean, own_raw, out, kept = (values[step] for values in flat)
            scale, own_slope = scale_and_slope(own_raw, min_scale)
            if draw:
                kept.normal_()
                torch.addcmul(mean, scale, kept, out=out)
                kept.mul_(own_slope)
            if prior is not None:
                parts.append(_divergence(mean, scale, prior))
        ctx.save_for_backward(location, raw, slope)
        ctx.min_scale, ctx.prior = min_scale, prior
        ctx.set_materialize_grads(False)
        kl = torch.stack(parts).sum(dtype=torch.float64).to(location.dtype)
        ctx.mark_non_differentiable(*([] if draw else [weight]), *([] if prior else [kl]))
        return weight, kl

    @staticmethod
    def backward(
        ctx: Any, *upstream: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        of_weight, of_kl = upstream
        location, raw, slope = ctx.saved_tensors
        if of_weight is not None and of_weight.is_sparse:  # of an embedding
            of_weight = of_weight.to_dense()
        if torch.is_grad_enabled():
            return *_differentiable_slopes(ctx, of_weight, of_kl), None, None, None
        if ctx.prior is None or of_kl is None:
            if of_weight is None:
                return None, None, None, None, None
            return of_weight, of_weight * slope, None, None, None
        grads = location.new_empty(location.shape), raw.new_empty(raw.shape)
        weight_grad = None if of_weight is None else of_weight.reshape(-1)
        flat = tuple(t.reshape(-1) for t in (location, raw, slope, *grads))
        weighted = of_kl / ctx.prior.scale**2
        for step in _steps(location):
            _slopes_of_kl(ctx, of_kl, weighted, step, flat)
            if weight_grad is not None:
                flat[3][step].add_(weight_grad[step])
                flat[4][step].addcmul_(weight_grad[step], flat[2][step])
        return *grads, None, None, None


def _slopes_of_kl(
    ctx: Any, of_kl: Tensor, weighted: Tensor, step: slice, flat: tuple[Tensor, ...]
) -> None:
    """Write the divergence's gradients of one step; `weighted` is `of_kl` / s²."""
    location, raw, _, of_location, of_raw = flat
    torch.sub(location[step], ctx.prior.mean, out=of_location[step]).mul_(weighted)
    scale, slope = scale_and_slope(raw[step], ctx.min_scale)
    own = torch.reciprocal(scale, out=of_raw[step]).mul_(-of_kl)
    own.addcmul_(scale, weighted).mul_(slope)


def _differentiable_slopes(
    ctx: Any, of_weight: Tensor | None, of_kl: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The gradients by plain operations, for second derivatives."""
    location, raw, slope = ctx.saved_tensors
    sigmoid = raw.sigmoid()
    of_location, of_raw = torch.zeros_like(location), torch.zeros_like(raw)
    if of_weight is not None:
        # ε sigmoid(r) as a function of r, from its value alone: a quotient would be 0 / 0 somewhere
        log_slope = F.logsigmoid(raw)
        own = slope * torch.exp(log_slope - log_slope.detach())
        of_location, of_raw = of_location + of_weight, of_raw + of_weight * own
    if of_kl is not None and ctx.prior is not None:
        scale, variance = F.softplus(raw) + ctx.min_scale, ctx.prior.scale**2
        of_location = of_location + of_kl * (location - ctx.prior.mean) / variance
        of_raw = of_raw + of_kl * (scale / variance - 1 / scale) * sigmoid
    return of_location, of_raw


def _divergence(mean: Tensor, scale: Tensor, prior: GaussianPrior) -> Tensor:
    away = mean - prior.mean if prior.mean else mean
    squares = torch.dot(scale, scale).add_(torch.dot(away, away)).div_(2 * prior.scale**2)
    return squares.sub_(_sum_of_logs(scale)).add_(len(mean) * (math.log(prior.scale) - 0.5))


def _sum_of_logs(scale: Tensor) -> Tensor:
    """Σ log σ; logarithms are dear, so four scales are multiplied first."""
    quarter = len(scale) // 4
    if not quarter or scale.device.type != "cpu":
        return scale.log().sum()
    a, b, c, d = scale[: 4 * quarter].view(4, quarter)
    product = a * b
    product.mul_(c).mul_(d)
    total = product.log_().sum()
    if not bool(total.isfinite()):  # a product that overflowed, or a scale that did
        return scale.log().sum()
    return total if 4 * quarter == len(scale) else total + scale[4 * quarter :].log().sum()


def _steps(values: Tensor) -> list[slice]:
    size = values.numel()
    if values.device.type != "cpu" or size <= BLOCK:
        return [slice(0, size)]
    starts = list(range(0, size, BLOCK))
    if size - starts[-1] < 16:
        starts.pop()  # torch draws 16 numbers at a time: fewer would shift the stream of draws
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], size], strict=True)]
