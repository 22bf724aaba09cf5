"""Soft selection of modules: every class's result, weighed and added."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from sfumato.errors import DataError
from sfumato.nn.conditional.layout import Arguments, Layout, Run, Slot, spread
from sfumato.nn.conditional.reading import Weights
from sfumato.nn.values import readable


def by_share(run: Run, layout: Layout, weights: Weights, classes: int, call: Arguments) -> Any:
    """Σ_c π_c ⊙ f_c(x), or Σ_c π̄_c f_c(π_c ⊙ x) for π that varies over the input."""
    total: Any = None
    for c in range(classes):
        share = weights.values[:, c]
        if _nothing(weights.values, share) and (total is not None or c + 1 < classes):
            continue
        x = call.args[0]
        if weights.kind == "element" and weights.place == "input":
            x = x * _turned(layout, share).to(x.dtype)
        part = _weighed(layout, weights, share, run(c, x, *call.args[1:], **call.kwargs))
        total = part if total is None else _sum(total, part)
    return total


def _nothing(pi: Tensor, share: Tensor) -> bool:
    """Whether a class has no share in anything, and cannot come to have one."""
    return not pi.requires_grad and readable(pi) and not bool(share.any())


def _weighed(layout: Layout, weights: Weights, share: Tensor, result: Any) -> Any:
    leaves, form = tree_flatten(result)
    slots = layout.of_results(result)
    scaled = [
        None if leaf is None else leaf * _factor(layout, weights, share, leaf, slot).to(leaf.dtype)
        for leaf, slot in zip(leaves, slots, strict=True)
    ]
    return tree_unflatten(scaled, form)


def _factor(layout: Layout, weights: Weights, share: Tensor, leaf: Any, slot: Slot) -> Tensor:
    """What π_c multiplies one tensor of a result by."""
    if not isinstance(leaf, Tensor) or not leaf.is_floating_point():
        what = leaf.dtype if isinstance(leaf, Tensor) else type(leaf).__name__
        raise DataError(f"{layout.name} gives {what}: only real numbers can be merged by π")
    if weights.kind != "element":
        return spread(layout, share, leaf, slot)
    if weights.place == "input" or not slot.first:
        return spread(layout, share.flatten(1).mean(1), leaf, slot)
    share = _turned(layout, share)
    pairs = zip(share.shape, leaf.shape, strict=False)
    if share.dim() != leaf.dim() or any(have not in (1, want) for have, want in pairs):
        raise DataError(
            f"π {list(weights.values.shape)} does not fit the {list(leaf.shape)} that "
            f"{layout.name} gives"
        )
    return share


def _sum(first: Any, second: Any) -> Any:
    a, form = tree_flatten(first)
    b, _ = tree_flatten(second)
    return tree_unflatten([None if x is None else x + y for x, y in zip(a, b, strict=True)], form)


def _turned(layout: Layout, share: Tensor) -> Tensor:
    """A share `[n, *record]` as the module's own sequences lie."""
    return share.transpose(0, 1) if layout.records else share
