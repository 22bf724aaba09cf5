"""Pooling: classes with a handful of records share their kernels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import combinations
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from sfumato.data.records import Records
from sfumato.errors import SettingError

Pool: TypeAlias = Literal["never", "auto"] | int | tuple[int, ...]
ENOUGH = 50
"""With so many records in every group `"auto"` pools no further."""


def check_pool(pool: Pool) -> None:
    """Raise a `SettingError` unless `pool` is one of the ways to pool."""
    if isinstance(pool, int) and not isinstance(pool, bool):
        if pool < 1:
            raise SettingError(f"classes are pooled into at least 1 group, not {pool}")
    elif not isinstance(pool, tuple) and pool not in ("never", "auto"):
        raise SettingError(
            f"pool must be 'never', 'auto', a number of groups or the group of every class, not "
            f"{pool!r}"
        )


def groups_of(pool: Pool, records: Records) -> tuple[int, ...]:
    """The group of every class, numbered in the order of their first class.

    A number g of groups, or `"auto"`: two groups are merged again and again, those whose merger
    adds least to the squared distance of the class means from their group's mean (Ward, 1963),
    until g are left, or until every group has `ENOUGH` records; `"auto"` merges the smallest group
    with its nearest. Classes without a record have no mean and count as the mean of all.

    Args:
        pool: as in `FitSettings`.
        records: of the fit.

    Raises:
        SettingError: more groups than classes, or a tuple that does not name a group for every
            class.
    """
    classes = records.num_classes
    if pool == "never":
        return tuple(range(classes))
    if isinstance(pool, tuple):
        if len(pool) != classes or any(group < 0 for group in pool):
            raise SettingError(
                f"pool must give a group, 0 or more, for each of {classes} classes, not {pool}"
            )
        return _numbered(pool)
    if isinstance(pool, int) and pool > classes:
        raise SettingError(f"{classes} classes cannot be pooled into {pool} groups")
    values = records.inputs.flatten(1).double()
    members = [records.labels == c for c in range(classes)]
    counts = [int(member.sum()) for member in members]
    means = torch.stack(
        [(values[m] if n else values).mean(0) for m, n in zip(members, counts, strict=True)]
    )
    return _merged(means, counts, None if pool == "auto" else pool)


def _merged(means: Tensor, counts: list[int], wanted: int | None) -> tuple[int, ...]:
    """Groups of classes; `wanted` of them, or as many as have `ENOUGH` records."""
    groups = [[c] for c in range(len(means))]
    while len(groups) > (1 if wanted is None else wanted):
        pairs = list(combinations(range(len(groups)), 2))
        if wanted is None:
            sizes = [sum(counts[c] for c in group) for group in groups]
            least = min(range(len(groups)), key=sizes.__getitem__)
            if sizes[least] >= ENOUGH:
                break
            pairs = [pair for pair in pairs if least in pair]
        first, second = min(pairs, key=lambda pair: _cost(means, *(groups[g] for g in pair)))
        groups[first] += groups.pop(second)
    owner = {c: number for number, group in enumerate(groups) for c in group}
    return _numbered([owner[c] for c in range(len(means))])


def _cost(means: Tensor, one: list[int], other: list[int]) -> float:
    """What a merger adds to the squared distances from the groups' means (Ward, 1963)."""
    apart = (means[one].mean(0) - means[other].mean(0)).square().sum()
    return float(apart) * len(one) * len(other) / (len(one) + len(other))


def _numbered(groups: Sequence[int]) -> tuple[int, ...]:
    names: dict[int, int] = {}
    return tuple(names.setdefault(group, len(names)) for group in groups)


@contextmanager
def tied(layer: nn.Module, groups: Sequence[int]) -> Iterator[None]:
    """Make the kernels of each group one, the mean of theirs, and keep them so while they learn.

    Every class of a group gets the sum of the group's gradients, which is the gradient of a kernel
    that they share; equal kernels with equal gradients stay equal, to the last bit, under every
    optimiser that looks at each element alone.

    Raises:
        SettingError: the layer does not hold the classes on the first axis of its parameters.
    """
    if len(set(groups)) == len(groups):
        yield
        return
    parameters, classes = list(layer.parameters()), getattr(layer, "num_classes", None)
    if classes is None or any(len(p) != classes or p.dim() < 2 for p in parameters):
        raise SettingError(
            f"the classes of a {type(layer).__name__} cannot be pooled: its parameters do not have "
            "the classes on their first axis"
        )
    # A layer may have more classes than the data: those stay by themselves.
    spare = range(max(groups) + 1, max(groups) + 1 + classes - len(groups))
    index = torch.tensor([*groups, *spare], device=parameters[0].device)
    with ExitStack() as stack:
        for parameter in parameters:
            with torch.no_grad():
                sizes = _shared(index, torch.ones_like(parameter[:, :1]))
                parameter.copy_(_shared(index, parameter) / sizes)
            if parameter.requires_grad:
                stack.callback(parameter.register_hook(partial(_shared, index)).remove)
        yield


def _shared(index: Tensor, values: Tensor) -> Tensor:
    """For every class the sum over its group."""
    sums = values.new_zeros(int(index.max()) + 1, *values.shape[1:])
    return sums.index_add_(0, index, values).index_select(0, index)
