"""Soft selection: merge the classes' raw parameters, then constrain, then draw once."""

from __future__ import annotations

import torch
from torch import Tensor

from sfumato.errors import DataError
from sfumato.nn.conditional.classwise import weighed, weighed_plain
from sfumato.nn.conditional.fold import merged_kernels
from sfumato.nn.conditional.selection import Place, Shares
from sfumato.nn.operator import Operator
from sfumato.nn.values import eager, readable


def raw_by_share(
    operator: Operator, x: Tensor, weight: Tensor, bias: Tensor | None, shares: Shares
) -> Tensor:
    """Σ_c [W_c (π_c ⊙ x) + π̄_c b_c], or Σ_c π_c ⊙ (W_c x + b_c) for a selection on the output.

    π̄_c is π_c averaged over each output's window. With one-hot π this is the hard selection.

    Args:
        operator: how a kernel acts.
        x: `[B, ...]`.
        weight: `[C, P * out, ...]`.
        bias: `[C, P * out]` or None.
        shares: the selection.

    Returns:
        Raw parameters, `[B, P * out, *spatial]`. Where π is constant over a record the kernels
        merge first, and the cost is that of one layer; where it is not, each class acts on the
        records that give it a share, and nothing is kept for the backward pass but `x`, π and the
        kernels.

    Raises:
        DataError: π does not broadcast to the input (or output) of the layer.
    """
    channels = operator.inputs if shares.place == "input" else operator.outputs
    if shares.values.shape[2] not in (1, channels):
        raise DataError(
            f"π has {shares.values.shape[2]} channels, but the layer's {shares.place} "
            f"has {channels}"
        )
    # A kernel per record pays only where it is used at many places, as a convolution does.
    shared = shares.values.shape[0] == 1
    if shares.constant and (shared or operator.spatial or not readable(shares.values)):
        return _fold(operator, x, weight, bias, shares)
    pi = _laid_out(operator, x, weight, shares)
    if operator.spatial or shared or pi.requires_grad or not readable(pi):
        return _by_class(operator, x, weight, bias, pi, shares.place)
    # Step by step, so that a class acts on no step that gives it no share.
    rows = pi.movedim(1, -2).flatten(0, -3)
    raw = _by_class(operator, x.flatten(0, -2), weight, bias, rows, shares.place)
    return raw.unflatten(0, x.shape[:-1])


def _fold(
    operator: Operator, x: Tensor, weight: Tensor, bias: Tensor | None, shares: Shares
) -> Tensor:
    kernel, own = merged_kernels(operator, weight, bias, shares)
    if kernel.shape[0] == 1:
        return operator.apply(x, kernel[0], None if own is None else own[0])
    if x.shape[0] == 0:
        return operator.apply(x, weight[0], None if bias is None else bias[0])
    return operator.apply_each(x, kernel, own)


def _laid_out(operator: Operator, x: Tensor, weight: Tensor, shares: Shares) -> Tensor:
    """π as `[n, C]` and then as the input (or the output), of its size in space."""
    pi = shares.values.to(weight.dtype)
    if operator.spatial == 0:
        space = x.shape[1:-1]
    elif shares.place == "input":
        space = x.shape[2:]
    else:
        empty = x.detach().to("meta"), weight[0].detach().to("meta")
        space = operator.apply(*empty, None).shape[2:]
    for have, want in zip(pi.shape[3:], space, strict=False):
        if have not in (1, want):
            remedy = "" if operator.spatial else "; a share for each feature is [B, C, features, 1]"
            raise DataError(
                f"π is {list(pi.shape[3:])} in space where it must be {list(space)}{remedy}"
            )
    if operator.spatial:
        return pi.expand(*pi.shape[:3], *space)
    pi = pi.reshape(*pi.shape, *(1,) * (3 + len(space) - pi.dim()))
    return pi.expand(*pi.shape[:3], *space).movedim(2, -1)


def _by_class(
    operator: Operator, x: Tensor, weight: Tensor, bias: Tensor | None, pi: Tensor, place: Place
) -> Tensor:
    """Shares that vary over a record: each class's product is weighed and added."""
    plain = not all(eager(values) for values in (x, weight, pi))
    raw = (weighed_plain if plain else weighed)(operator, x, weight, pi, place)
    if bias is None:
        return raw
    return raw + _biases(operator, bias, pi, place).to(raw.dtype)


def _biases(operator: Operator, bias: Tensor, pi: Tensor, place: Place) -> Tensor:
    """Σ_c π̄_c b_c, of the shape of the raw values."""
    pi, own = _occurring(pi, bias)
    if place == "input":
        pi = operator.average(pi.flatten(0, 1)).unflatten(0, pi.shape[:2])
    axis = operator.channel_axis
    pi = pi.movedim(axis, 2)
    split = own.unflatten(2, (-1, pi.shape[2]))
    return torch.einsum("nco...,ncpo->npo...", pi, split).flatten(1, 2).movedim(1, axis)


def _occurring(pi: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """As few classes for each record as will do, and their biases `[n, classes, P * out]`."""
    everything = pi, bias.expand(pi.shape[0], *bias.shape)
    if pi.requires_grad or not readable(pi) or not pi.numel():
        return everything
    seen = pi.flatten(2).ne(0).any(-1)
    most = int(seen.sum(1).max())
    if most == len(bias):
        return everything
    chosen = seen.int().topk(most, 1).indices
    record = torch.arange(len(pi), device=pi.device).unsqueeze(1)
    real = seen.gather(1, chosen).unsqueeze(2)  # where a record has fewer classes than another
    return pi[record, chosen], torch.where(real, bias[chosen], 0.0)
