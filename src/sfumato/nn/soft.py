"""Soft selection: merge the classes' raw parameters, then constrain, then draw once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce

import torch
from torch import Tensor

from sfumato.errors import DataError
from sfumato.nn.hard import raw_by_label
from sfumato.nn.operator import Operator
from sfumato.nn.selection import Place, Shares
from sfumato.nn.values import readable


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
        merge first, and the cost is that of one layer.

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
    if shares.constant and x.dim() > 2 + operator.spatial:
        rows = Shares(shares.values.repeat_interleave(x.shape[1:-1].numel(), 0), shares.place)
        return raw_by_share(operator, x.flatten(0, -2), weight, bias, rows).unflatten(
            0, x.shape[:-1]
        )
    if shared or shares.values.requires_grad or not readable(shares.values):
        return _by_class(operator, x, weight, bias, shares)
    return _by_pair(operator, x, weight, bias, shares)


def _fold(
    operator: Operator, x: Tensor, weight: Tensor, bias: Tensor | None, shares: Shares
) -> Tensor:
    pi = shares.values.flatten(2).to(weight.dtype)  # [n, C, channels or 1]
    merge = _fold_inputs if shares.place == "input" or pi.shape[2] == 1 else _fold_outputs
    kernel, own = merge(operator, weight, bias, pi)
    if kernel.shape[0] == 1:
        return operator.apply(x, kernel[0], None if own is None else own[0])
    if x.shape[0] == 0:
        return operator.apply(x, weight[0], None if bias is None else bias[0])
    return operator.apply_each(x, kernel, own)


def _fold_inputs(
    operator: Operator, weight: Tensor, bias: Tensor | None, pi: Tensor
) -> tuple[Tensor, Tensor | None]:
    classes, rows, width = weight.shape[:3]
    if pi.shape[2] == 1:
        flat = pi[..., 0]
        kernel = (flat @ weight.reshape(classes, -1)).reshape(-1, *weight.shape[1:])
        return kernel, None if bias is None else flat @ bias
    blocks, groups = rows // operator.outputs, operator.groups
    shape = (blocks, groups, operator.outputs // groups)
    by_group = pi.reshape(len(pi), classes, groups, width)
    split = weight.reshape(classes, *shape, width, -1)
    kernel = torch.einsum("ncgi,cpgoik->npgoik", by_group, split).reshape(-1, *weight.shape[1:])
    if bias is None:
        return kernel, None
    # The window of an output covers all channels of its group: the bias takes their mean share.
    own = torch.einsum("ncg,cpgo->npgo", by_group.mean(-1), bias.reshape(classes, *shape))
    return kernel, own.reshape(-1, rows)


def _fold_outputs(
    operator: Operator, weight: Tensor, bias: Tensor | None, pi: Tensor
) -> tuple[Tensor, Tensor | None]:
    classes, rows = weight.shape[:2]
    split = weight.reshape(classes, -1, operator.outputs, weight[0, 0].numel())
    kernel = torch.einsum("nco,cpor->npor", pi, split).reshape(-1, *weight.shape[1:])
    if bias is None:
        return kernel, None
    own = torch.einsum("nco,cpo->npo", pi, bias.reshape(classes, -1, operator.outputs))
    return kernel, own.reshape(-1, rows)


def _by_class(
    operator: Operator, x: Tensor, weight: Tensor, bias: Tensor | None, shares: Shares
) -> Tensor:
    """Shares that vary over a record: every class sees every record, one class at a time."""
    kernels, pi = weight.unbind(0), shares.values.to(weight.dtype).unbind(1)
    biases = [None] * len(kernels) if bias is None else bias.unsqueeze(1).unbind(0)
    parts = (
        _weighed(operator, x, share, own, shares.place, partial(_plain, operator, kernel))
        for share, kernel, own in zip(pi, kernels, biases, strict=True)
    )
    return reduce(torch.add, parts)


def _by_pair(
    operator: Operator, x: Tensor, weight: Tensor, bias: Tensor | None, shares: Shares
) -> Tensor:
    """Shares that vary over a record and are 0 for most classes: the pairs that occur."""
    record, category = _occurring_pairs(shares.values)
    pi = shares.values[record, category].to(weight.dtype)
    own = None if bias is None else bias.index_select(0, category)
    raw = _weighed(
        operator,
        x.index_select(0, record),
        pi,
        own,
        shares.place,
        lambda seen: raw_by_label(operator, seen, weight, None, category),
    )
    total = raw.new_zeros(x.shape[0], *raw.shape[1:])
    return total.index_add(0, record, raw)


def _occurring_pairs(shares: Tensor) -> tuple[Tensor, Tensor]:
    """The (record, class) pairs whose share, `[B, C, ...]`, is not 0 everywhere."""
    record, category = shares.flatten(2).ne(0).any(-1).nonzero(as_tuple=True)
    return record, category


def _plain(operator: Operator, kernel: Tensor, x: Tensor) -> Tensor:
    return operator.apply(x, kernel, None)


def _weighed(
    operator: Operator,
    x: Tensor,
    pi: Tensor,
    own: Tensor | None,
    place: Place,
    act: Callable[[Tensor], Tensor],
) -> Tensor:
    """What one class (or one class for each record) adds: `pi` `[n, channels or 1, *spatial]`."""
    bias = None if own is None else operator.per_output(own)
    if place == "input":
        pi = _fitting(pi, x)
        raw = act(x * pi)
        if bias is None:
            return raw
        return raw + (_tiled(operator.average(pi), raw) * bias).to(raw.dtype)
    raw = act(x)
    if bias is not None:
        raw = raw + bias.to(raw.dtype)
    return raw * _tiled(_fitting(pi, raw), raw).to(raw.dtype)


def _fitting(pi: Tensor, x: Tensor) -> Tensor:
    """`pi` with the size of `x` in space."""
    for have, want in zip(pi.shape[2:], x.shape[2:], strict=True):
        if have not in (1, want):
            raise DataError(
                f"π is {list(pi.shape[2:])} in space where it must be {list(x.shape[2:])}"
            )
    return pi.expand(*pi.shape[:2], *x.shape[2:])


def _tiled(share: Tensor, raw: Tensor) -> Tensor:
    """A share for each output, `[n, out or 1, ...]`, repeated for each block of `raw`."""
    if share.shape[1] == 1:
        return share
    return share.repeat(1, raw.shape[1] // share.shape[1], *(1,) * (share.dim() - 2))
