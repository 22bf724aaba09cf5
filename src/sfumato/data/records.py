"""Records in memory, and the checks that every record passes on its way in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, final, runtime_checkable

import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from sfumato.data.batches import batches, class_names, describe, record_name, title
from sfumato.errors import DataError


@runtime_checkable
class Labelled(Protocol):
    """What every data set that `sfumato.data.load` opens has beside its items."""

    @property
    def labels(self) -> Tensor:
        """`[N]`, int64, at hand without reading a record."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names; a label is a place in it."""
        ...

    @property
    def name(self) -> str:
        """What to call the data in messages and reports."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one record."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> tuple[Tensor, int]: ...

    def subset(self, indices: Sequence[int] | Tensor) -> Labelled:
        """The records at `indices`, in that order."""
        ...


@final
@dataclass(frozen=True, eq=False, repr=False)
class Records(Dataset[tuple[Tensor, int]]):
    """Labelled records in memory.

    Attributes:
        inputs: `[N, C, H, W]` or `[N, F]`, float32.
        labels: `[N]`, int64.
        classes: the class names; a label is a place in it.
        name: what to call the data in messages and reports.

    Raises:
        DataError: the tensors do not have these types, or are not of one length.
    """

    inputs: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    name: str = "data"

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(self.classes))
        if self.inputs.dtype != torch.float32 or self.inputs.ndim < 2:
            raise DataError(
                f"inputs of {self.name} must be float32 [N, ...], not {describe(self.inputs)}"
            )
        if self.labels.dtype != torch.int64 or self.labels.shape != self.inputs.shape[:1]:
            raise DataError(
                f"labels of {self.name} must be int64 [{len(self.inputs)}], "
                f"not {describe(self.labels)}"
            )

    @property
    def num_classes(self) -> int:
        """How many classes there are, also where some have no record here."""
        return len(self.classes)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one record, `(C, H, W)` or `(F,)`."""
        return tuple(self.inputs.shape[1:])

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.inputs[index], int(self.labels[index])

    def __repr__(self) -> str:
        return f"Records({self.name!r}, {len(self)} x {self.shape}, {self.num_classes} classes)"

    def subset(self, indices: Sequence[int] | Tensor) -> Records:
        """The records at `indices`, in that order, as a copy."""
        index = torch.as_tensor(indices, dtype=torch.int64)
        return Records(self.inputs[index], self.labels[index], self.classes, self.name)


def check_batch(
    inputs: Tensor, labels: Tensor, num_classes: int, where: str = "the batch", first: int = 0
) -> None:
    """Raise unless all inputs are finite and all labels stand for a class.

    Args:
        inputs: `[B, ...]`, floating point.
        labels: `[B]`.
        num_classes: labels must lie in 0 .. num_classes - 1.
        where: what to call the records in the message.
        first: the number of the first of these records in the whole.

    Raises:
        DataError: NaN or infinity, or a label out of range; the message names the record.
    """
    # A sum is NaN or infinite if any input is, and needs no memory; only then look closer.
    if not bool(torch.isfinite(inputs.sum())):
        broken = ~torch.isfinite(inputs.flatten(1)).all(1)
        if bool(broken.any()):
            number = first + int(broken.nonzero()[0])
            raise DataError(
                f"{record_name(number, where)} holds NaN or infinity: remove or repair that record"
            )
    check_labels(labels, num_classes, where, first)


def check_labels(labels: Tensor, num_classes: int, where: str, first: int = 0) -> None:
    """Raise `DataError` unless all labels `[N]` lie in 0 .. num_classes - 1."""
    outside = (labels < 0) | (labels >= num_classes)
    if bool(outside.any()):
        place = int(outside.nonzero()[0])
        raise DataError(
            f"{record_name(first + place, where)} has the label {int(labels[place])}, but there "
            f"are {num_classes} classes, so labels run from 0 to {num_classes - 1}: "
            "correct the labels"
        )


def check_classes(labels: Tensor, where: str) -> None:
    """Raise `DataError` if there is no record, or all records are of one class."""
    if len(labels) == 0:
        raise DataError(f"{where} holds no records: there is nothing to learn from")
    if bool((labels == labels[0]).all()):
        raise DataError(
            f"all {len(labels)} records of {where} have the label {int(labels[0])}: "
            "at least two classes are needed, so give records of another one too"
        )


def gather(
    dataset: Dataset[Any],
    *,
    classes: Sequence[str] | None = None,
    name: str | None = None,
    indices: Sequence[int] | Tensor | None = None,
) -> Records:
    """Read any torch data set of `(Tensor, int)` items into memory, checking every record.

    Args:
        dataset: map-style or iterable; items are a floating tensor `[C, H, W]` or `[F]`, all of
            one size, and a label.
        classes: class names; by default those of the data set, or else "0", "1", ...
        name: what to call the data; by default the data set's own name, or "data".
        indices: only these records, in this order (map-style only).

    Returns:
        The records.

    Raises:
        DataError: no records, one class only, mixed sizes, NaN or infinity, labels out of range,
            or items that are not a tensor and a label.
    """
    where = name or title(dataset)
    known = tuple(classes) if classes is not None else class_names(dataset)
    inputs, labels = _read(dataset, where, indices)
    check_classes(labels, where)
    names = known or tuple(str(label) for label in range(int(labels.max()) + 1))
    check_batch(inputs, labels, len(names), where)
    return Records(inputs, labels, names, name or str(getattr(dataset, "name", "data")))


def _read(
    dataset: Dataset[Any], where: str, indices: Sequence[int] | Tensor | None
) -> tuple[Tensor, Tensor]:
    """All inputs and labels; the inputs are written straight into their final place."""
    if isinstance(dataset, Records):
        chosen = dataset if indices is None else dataset.subset(indices)
        return chosen.inputs, chosen.labels
    source: Any = dataset
    if isinstance(dataset, IterableDataset):
        if indices is not None:
            raise DataError(f"{where} is an iterable data set: records cannot be picked from it")
        source = list(dataset)
    if indices is None:
        span: Sequence[int] = range(len(source))
    else:
        span = torch.as_tensor(indices, dtype=torch.int64).tolist()
    if not span:
        raise DataError(f"{where} holds no records: there is nothing to learn from")
    inputs, labels, done = torch.empty(0), torch.empty(len(span), dtype=torch.int64), 0
    for some_inputs, some_labels in batches(source, [span], where=where):
        if done == 0:
            inputs = torch.empty((len(span), *some_inputs.shape[1:]))
        inputs[done : done + len(some_inputs)] = some_inputs
        labels[done : done + len(some_inputs)] = some_labels
        done += len(some_inputs)
    return inputs, labels
