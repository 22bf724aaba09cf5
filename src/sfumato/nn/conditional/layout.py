"""Where the records lie in what a module takes and in what it gives."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from sfumato.errors import DataError
from sfumato.nn.sequences.recurrent import StochasticRecurrent
from sfumato.nn.weights.any_module import Bayesian

Run = Callable[..., Any]
"""`run(c, *args, **kwargs)`: the result of the module of class c, any nesting of tensors."""


class Slot(NamedTuple):
    """One tensor of a result: the axis of its records, and what it is."""

    axis: int
    first: bool = True  # whether it is (part of) the first result
    state: bool = False  # of a recurrence: it has no steps


@final
@dataclass(frozen=True)
class Layout:
    """Records are on axis 0; on axis 1 where a module says `batch_first=False`.

    States of recurrent modules have them on axis 1 in any case, key padding masks and attention
    weights on axis 0. Other attention masks, and tensors of another size, are the same for all.

    Args:
        name: of the module, for messages.
        records: the axis of the records in sequences.
        states: whether results after the first are states of a recurrence.
        masks: whether arguments called a mask are attention masks.
    """

    name: str
    records: int
    states: bool
    masks: bool

    def of_argument(self, name: str, value: Any, batch: int) -> int | None:
        """The axis of the records in one argument; None where all records share it."""
        if not isinstance(value, Tensor):
            return None
        if self.masks and name.endswith("mask"):
            axis = 0 if name.endswith("key_padding_mask") else None
        else:
            axis = 1 if self.states and name in ("hx", "state") else self.records
        fits = axis is not None and value.dim() > axis and value.shape[axis] == batch
        return axis if fits else None

    def of_results(self, result: Any) -> list[Slot]:
        """Where the records lie in every tensor of a result."""
        if not isinstance(result, tuple) or not (self.states or self.masks):
            return [Slot(self.records)] * len(tree_leaves(result))
        later = Slot(1 if self.states else 0, first=False, state=self.states)
        return [
            later if place else Slot(self.records)
            for place, part in enumerate(result)
            for _ in tree_leaves(part)
        ]


def layout_of(module: nn.Module) -> Layout:
    """The layout of what `module` takes and gives."""
    inner = module.module if isinstance(module, Bayesian) else module
    first = _batch_first(inner)
    return Layout(
        name=type(inner).__name__,
        records=1 if first is False else 0,
        states=isinstance(inner, (nn.RNNBase, StochasticRecurrent)),
        masks=first is not None,
    )


def _batch_first(module: Any) -> bool | None:
    layers = getattr(module, "layers", None)
    first = layers[0] if isinstance(layers, nn.ModuleList) and len(layers) else None
    for part in (module, getattr(module, "self_attn", None), getattr(first, "self_attn", None)):
        found = getattr(part, "batch_first", None)
        if isinstance(found, bool):
            return found
    return None


@final
class Arguments:
    """The arguments of a call, of which some of the records can be taken."""

    def __init__(
        self, layout: Layout, module: nn.Module, batch: int, args: tuple[Any, ...], kwargs: Any
    ) -> None:
        self.args, self.kwargs, self.module = args, kwargs, module
        self._layout, self._batch = layout, batch

    def of(self, where: Tensor) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments for the records at `where`."""
        leaves, form = tree_flatten((self.args, self.kwargs))
        names = [name for name, value in self._named() for _ in tree_leaves(value)]
        taken = [self._taken(n, leaf, where) for n, leaf in zip(names, leaves, strict=True)]
        return tree_unflatten(taken, form)

    def _named(self) -> Iterator[tuple[str, Any]]:
        inner = self.module.module if isinstance(self.module, Bayesian) else self.module
        positional = [
            p.name
            for p in inspect.signature(inner.forward).parameters.values()
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
        positional += [""] * (len(self.args) - len(positional))
        yield from zip(positional, self.args, strict=False)
        yield from self.kwargs.items()

    def _taken(self, name: str, value: Any, where: Tensor) -> Any:
        axis = self._layout.of_argument(name, value, self._batch)
        return value if axis is None else value.index_select(axis, where)


def joined(layout: Layout, results: Sequence[Any], sizes: Sequence[int], order: Tensor) -> Any:
    """One result from those of several groups of records, in the records' own order.

    Args:
        layout: where the records lie.
        results: of each group, any nesting of tensors.
        sizes: the number of records of each group.
        order: the place of each record in the groups one after another.

    Raises:
        DataError: a result has not as many records as went in, or is no tensor.
    """
    slots = layout.of_results(results[0])
    leaves, forms = zip(*(tree_flatten(result) for result in results), strict=True)
    merged = [
        _merged(layout, list(parts), slot.axis, sizes, order)
        for parts, slot in zip(zip(*leaves, strict=True), slots, strict=True)
    ]
    return tree_unflatten(merged, forms[0])


def _merged(
    layout: Layout, parts: list[Any], axis: int, sizes: Sequence[int], order: Tensor
) -> Any:
    if all(part is None for part in parts):
        return None
    for part, size in zip(parts, sizes, strict=True):
        check_result(layout, part, axis, size)
    return torch.cat(parts, axis).index_select(axis, order)


def check_result(layout: Layout, part: Any, axis: int, size: int, what: str = "records") -> None:
    """Raise a `DataError` unless `part` is a tensor with `size` records (or steps) on `axis`."""
    if not isinstance(part, Tensor):
        raise DataError(
            f"{layout.name} gives a {type(part).__name__}, and only tensors can be put together "
            "from several classes: wrap it in a module that returns tensors"
        )
    if part.dim() <= axis or part.shape[axis] != size:
        raise DataError(
            f"{layout.name} gives {list(part.shape)}, but should give the {size} {what} that went "
            f"in on axis {axis}"
        )


def spread(layout: Layout, values: Tensor, leaf: Tensor, slot: Slot) -> Tensor:
    """`values` `[n]` or `[n, T]` with axes of size 1, so that they broadcast to `leaf`."""
    if values.dim() == 2 and slot.state:
        values = values[:, -1]
    if values.dim() == 1:
        return values.reshape(*(1,) * slot.axis, -1, *(1,) * (leaf.dim() - slot.axis - 1))
    check_result(layout, leaf, 1 - slot.axis, values.shape[1], "steps")
    lead = values.t() if slot.axis else values
    return lead.reshape(*lead.shape, *(1,) * (leaf.dim() - 2))
