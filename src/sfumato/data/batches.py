"""Reading any torch data set a batch at a time, whatever its items look like."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast, final

import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from sfumato.errors import DataError

BATCH = 256


def record_name(number: int, where: str) -> str:
    """How messages call one record."""
    return f"record {number} of {where}"


def describe(value: object) -> str:
    """What a value is, in a few words for a message."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    return type(value).__name__


def title(dataset: object) -> str:
    """How messages call a data set."""
    return str(getattr(dataset, "where", None) or getattr(dataset, "name", None) or "data")


def class_names(dataset: object) -> tuple[str, ...] | None:
    """The class names that a data set, or the one it is a `Subset` of, carries."""
    while dataset is not None:
        names = getattr(dataset, "classes", None)
        if isinstance(names, (list, tuple)) and names:
            return tuple(str(name) for name in names)
        dataset = getattr(dataset, "dataset", None)
    return None


def batches(
    dataset: Dataset[Any],
    spans: Iterable[Sequence[int]],
    *,
    where: str = "data",
    size: int = BATCH,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Read `spans` of record numbers, at most `size` records at a time.

    No batch reaches from one span into the next. Of an iterable data set, spans must be ascending
    ranges; it is gone through once.

    Yields:
        Inputs `[B, ...]` in float32 and labels `[B]` in int64.

    Raises:
        DataError: an item is not a tensor with a label, or records differ in size.
    """
    shape: tuple[int, ...] | None = None
    for piece, items in _pieces(dataset, spans, where, size):
        inputs, labels = _stack(items, piece, shape, where)
        shape = tuple(inputs.shape[1:])
        yield inputs, labels


def _stack(
    items: Sequence[Any], numbers: Sequence[int], shape: tuple[int, ...] | None, where: str
) -> tuple[Tensor, Tensor]:
    """Items as one batch; `shape` is the size of the records before them, if there were any."""
    inputs, labels = [], []
    for number, item in zip(numbers, items, strict=True):
        one, label = _split(item, number, where)
        shape = shape or tuple(one.shape)
        if tuple(one.shape) != shape:
            raise DataError(
                f"{record_name(number, where)} has the size {_size(one.shape)}, but those "
                f"before it have {_size(shape)}: bring all to one size"
            )
        inputs.append(one)
        labels.append(label)
    return torch.stack(inputs), torch.tensor(labels, dtype=torch.int64)


def _pieces(
    dataset: Dataset[Any], spans: Iterable[Sequence[int]], where: str, size: int
) -> Iterator[tuple[Sequence[int], list[Any]]]:
    cut = (span[at : at + size] for span in spans for at in range(0, len(span), size))
    if not isinstance(dataset, IterableDataset):
        many = getattr(dataset, "__getitems__", None)
        for piece in cut:
            yield piece, many(list(piece)) if many else [dataset[number] for number in piece]
        return
    stream, position = iter(dataset), 0
    for piece in cut:
        next(islice(stream, piece[0] - position, piece[0] - position), None)
        items = list(islice(stream, len(piece)))
        position = piece[0] + len(items)
        if len(items) < len(piece):
            raise DataError(
                f"{where} ended after {position} records, though it had more before: "
                "an iterable data set must give the same records each time"
            )
        yield piece, items


def _split(item: Any, number: int, where: str) -> tuple[Tensor, int]:
    """One item as a float32 tensor and a label."""
    name = record_name(number, where)
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise DataError(f"{name} must be a pair of a tensor and a label, not {describe(item)}")
    one, label = item
    if not isinstance(one, Tensor) or not one.is_floating_point() or one.ndim == 0:
        raise DataError(
            f"the input of {name} must be a floating point tensor, not {describe(one)}: "
            "convert it, pictures to [0, 1]"
        )
    return one.detach().to("cpu", torch.float32), _label(label, name)


def _label(label: Any, name: str) -> int:
    if isinstance(label, Tensor) and (label.numel() != 1 or label.is_floating_point()):
        raise DataError(f"the label of {name} must be a whole number, not {describe(label)}")
    try:
        return label.__index__()
    except (AttributeError, TypeError) as error:
        raise DataError(
            f"the label of {name} must be a whole number, not {describe(label)}"
        ) from error


def _size(shape: Sequence[int]) -> str:
    return "x".join(str(length) for length in shape)


@final
@dataclass(frozen=True)
class Survey:
    """What must be known of a data set before its records are read one batch at a time.

    Attributes:
        labels: `[N]`, int64.
        ends: the first and the last record, each with a batch axis, or two empty tensors.
    """

    labels: Tensor
    ends: tuple[Tensor, Tensor]

    @property
    def count(self) -> int:
        """How many records there are."""
        return len(self.labels)

    def labels_sha256(self) -> str:
        """A checksum of the labels alone."""
        return hashlib.sha256(self.labels.numpy().tobytes()).hexdigest()

    def fingerprint(self) -> str:
        """A checksum of the labels and of the first and last record: which data set this is.

        It lets anyone who has a guess of those two records confirm it, so never publish it.
        """
        digest = hashlib.sha256(self.labels.numpy().tobytes())
        for one in self.ends:
            digest.update(str(tuple(one.shape)).encode())
            digest.update(one.numpy().tobytes())
        return digest.hexdigest()


def survey(dataset: Dataset[Any]) -> Survey:
    """Count the records and read all labels.

    A data set with a tensor `labels` of its length (as all of sfumato's have) gives them at once;
    any other is read through once.

    Raises:
        DataError: items are not a tensor with a label, or records differ in size.
    """
    where = title(dataset)
    if not isinstance(dataset, IterableDataset):
        count, labels = len(cast(Sized, dataset)), getattr(dataset, "labels", None)
        if isinstance(labels, Tensor) and labels.dtype == torch.int64 and labels.shape == (count,):
            return Survey(labels.cpu(), _ends(dataset, count, where))
    return _read_through(dataset, where)


def _ends(dataset: Dataset[Any], count: int, where: str) -> tuple[Tensor, Tensor]:
    if count == 0:
        return torch.empty(0), torch.empty(0)
    first, last = (_stack([dataset[number]], [number], None, where)[0] for number in (0, count - 1))
    return first, last


def _read_through(dataset: Dataset[Any], where: str) -> Survey:
    if isinstance(dataset, IterableDataset):
        stream = iter(dataset)
    else:
        stream = (dataset[number] for number in range(len(cast(Sized, dataset))))
    first = last = torch.empty(0)
    labels, done = [torch.empty(0, dtype=torch.int64)], 0
    while items := list(islice(stream, BATCH)):
        shape = tuple(last.shape[1:]) if done else None
        inputs, some = _stack(items, range(done, done + len(items)), shape, where)
        first = inputs[:1].clone() if done == 0 else first
        last, done = inputs[-1:].clone(), done + len(items)
        labels.append(some)
    return Survey(torch.cat(labels), (first, last))
