"""Hard selection of modules: every record through the module of its own class."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from sfumato.nn.conditional.layout import Arguments, Layout, Run, Slot, check_result, joined, spread
from sfumato.nn.conditional.segments import segments
from sfumato.nn.values import readable


def by_label(run: Run, layout: Layout, labels: Tensor, classes: int, call: Arguments) -> Any:
    """Every record through its own class's module, one call for each class that occurs."""
    if not readable(labels):
        return _of_all_classes(run, layout, labels, classes, call)
    parts = segments(labels, classes)
    if len(parts) < 2:
        return run(parts[0][0] if parts else 0, *call.args, **call.kwargs)
    results = []
    for c, where in parts:
        args, kwargs = call.of(where)
        results.append(run(c, *args, **kwargs))
    order = torch.cat([where for _, where in parts]).argsort()
    return joined(layout, results, [len(where) for _, where in parts], order)


def by_position(run: Run, layout: Layout, labels: Tensor, classes: int, call: Arguments) -> Any:
    """Every step `[B, T]` through its own class's module, as if steps were records."""
    x = call.args[0]
    lead = x.shape[:2]

    def flat(value: Any) -> Any:
        fits = isinstance(value, Tensor) and value.shape[:2] == lead
        return value.flatten(0, 1) if fits else value

    args, kwargs = tree_map(flat, (call.args, call.kwargs))
    steps = Layout(layout.name, 0, states=False, masks=False)
    rows = (labels.t() if layout.records else labels).flatten()
    result = by_label(
        run, steps, rows, classes, Arguments(steps, call.module, rows.shape[0], args, kwargs)
    )
    return tree_map(lambda leaf: leaf.unflatten(0, lead), result)


def by_step(run: Run, layout: Layout, labels: Tensor, classes: int, call: Arguments) -> Any:
    """Every record through the modules of the classes that occur in it, whole.

    At each step the result of that step's class is taken; of a state that of the last step's.
    """
    if not readable(labels):
        return _of_all_classes(run, layout, labels, classes, call)
    present = labels.unique().tolist()
    if len(present) < 2:
        return run(present[0] if present else 0, *call.args, **call.kwargs)
    results, picks = [], []
    for c in present:
        mine = labels == c
        where = mine.any(1).nonzero()[:, 0]
        args, kwargs = call.of(where)
        results.append(run(c, *args, **kwargs))
        picks.append((where, mine))
    slots = layout.of_results(results[0])
    leaves, forms = zip(*(tree_flatten(result) for result in results), strict=True)
    merged = [
        _picked(layout, parts, slot, picks)
        for parts, slot in zip(zip(*leaves, strict=True), slots, strict=True)
    ]
    return tree_unflatten(merged, forms[0])


def _of_all_classes(run: Run, layout: Layout, labels: Tensor, classes: int, call: Arguments) -> Any:
    """Every class on every record: the way for labels that cannot be read."""
    result = run(0, *call.args, **call.kwargs)
    slots, (chosen, form) = layout.of_results(result), tree_flatten(result)
    for c in range(1, classes):
        leaves, _ = tree_flatten(run(c, *call.args, **call.kwargs))
        mine = labels == c
        chosen = [
            None if leaf is None else torch.where(spread(layout, mine, leaf, slot), leaf, before)
            for leaf, before, slot in zip(leaves, chosen, slots, strict=True)
        ]
    return tree_unflatten(chosen, form)


def _picked(
    layout: Layout, parts: tuple[Any, ...], slot: Slot, picks: list[tuple[Tensor, Tensor]]
) -> Any:
    """What each step takes from the results of several classes."""
    if parts[0] is None:
        return None
    axis, rows, places = slot.axis, [], []
    for part, (where, mine) in zip(parts, picks, strict=True):
        check_result(layout, part, axis, len(where))
        own = mine.index_select(0, where)
        if slot.state:
            last = own[:, -1].nonzero()[:, 0]
            rows.append(part.index_select(axis, last))
            places.append(where.index_select(0, last))
            continue
        check_result(layout, part, 1 - axis, own.shape[1], "steps")
        local, step = own.nonzero(as_tuple=True)
        rows.append((part.transpose(0, 1) if axis else part)[local, step])
        places.append(where.index_select(0, local) * own.shape[1] + step)
    order = torch.cat(places).argsort()
    if slot.state:
        return torch.cat(rows, axis).index_select(axis, order)
    steps = torch.cat(rows).index_select(0, order).unflatten(0, picks[0][1].shape)
    return steps.transpose(0, 1) if axis else steps
