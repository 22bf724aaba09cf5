from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from sfumato.data import Labelled, Records, check_batch, digits, gather, stratified_order, take
from sfumato.data.batches import BATCH, batches, survey
from sfumato.errors import DataError, SettingError


class Items(Dataset[Any]):
    """Whatever items are given, one after another."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items
        self.read = 0

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        self.read += 1
        return self.items[index]


class Stream(IterableDataset[Any]):
    """The same, without a length."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)


def pairs(count: int, classes: int = 3) -> list[tuple[Tensor, int]]:
    return [(torch.full((1, 2, 2), float(number)), number % classes) for number in range(count)]


@pytest.fixture
def records() -> Records:
    inputs = torch.rand(30, 1, 4, 4)
    return Records(inputs, torch.arange(30) % 3, ("a", "b", "c"), "letters")


def test_records_are_a_torch_data_set(records: Records) -> None:
    assert len(records) == 30
    assert records.num_classes == 3
    assert records.shape == (1, 4, 4)
    assert isinstance(records, Labelled)
    one, label = records[4]
    assert torch.equal(one, records.inputs[4])
    assert label == 1
    assert type(label) is int
    inputs, labels = next(iter(DataLoader(records, batch_size=7)))
    assert inputs.shape == (7, 1, 4, 4)
    assert labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert repr(records) == "Records('letters', 30 x (1, 4, 4), 3 classes)"


def test_a_subset_keeps_names_and_order(records: Records) -> None:
    part = records.subset([7, 2])
    assert torch.equal(part.inputs, records.inputs[[7, 2]])
    assert part.labels.tolist() == [1, 2]
    assert (part.classes, part.name) == (records.classes, records.name)
    assert len(records.subset(torch.tensor([], dtype=torch.int64))) == 0


def test_records_travel_to_other_processes(records: Records) -> None:
    stream = io.BytesIO()
    torch.save(records, stream)
    stream.seek(0)
    again = torch.load(stream, weights_only=False)
    assert torch.equal(again.inputs, records.inputs)
    assert again.classes == records.classes


@pytest.mark.parametrize(
    ("inputs", "labels"),
    [
        (torch.rand(3, 2).double(), torch.zeros(3).long()),
        (torch.rand(3, 2), torch.zeros(3)),
        (torch.rand(3, 2), torch.zeros(4).long()),
        (torch.rand(3), torch.zeros(3).long()),
    ],
)
def test_records_refuse_other_tensors(inputs: Tensor, labels: Tensor) -> None:
    with pytest.raises(DataError, match="of letters must be"):
        Records(inputs, labels, ("a",), "letters")


def test_gather_reads_map_style_iterable_and_tensor_data_sets() -> None:
    items = pairs(BATCH + 9)
    want = torch.stack([one for one, _ in items])
    tensors = TensorDataset(want, torch.tensor([label for _, label in items]))
    for dataset in (Items(items), Stream(items), tensors):
        found = gather(dataset, name="numbers")
        assert torch.equal(found.inputs, want)
        assert found.labels.tolist() == [label for _, label in items]
        assert found.classes == ("0", "1", "2")
        assert found.name == "numbers"


def test_gather_reads_each_item_once() -> None:
    items = Items(pairs(10))
    gather(items)
    assert items.read == 10


def test_gather_keeps_class_names_through_a_torch_subset(records: Records) -> None:
    part = gather(Subset(records, [1, 0, 4]))
    assert part.classes == ("a", "b", "c")
    assert part.labels.tolist() == [1, 0, 1]


def test_gather_picks_records_in_the_order_asked_for() -> None:
    found = gather(Items(pairs(20)), indices=[5, 3, 19])
    assert found.inputs[:, 0, 0, 0].tolist() == [5, 3, 19]


@pytest.mark.parametrize("label", [1, np.int64(1), torch.tensor(1), torch.tensor([1]), True])
def test_gather_takes_any_whole_number_for_a_label(label: Any) -> None:
    one = torch.zeros(3, dtype=torch.float64)
    found = gather(Items([(one, 0), (one, label)]))
    assert found.labels.tolist() == [0, 1]
    assert found.inputs.dtype == torch.float32


def test_take_is_stratified_and_in_the_order_of_the_data(records: Records) -> None:
    part = take(records, 9, seed=4)
    assert part.labels.bincount().tolist() == [3, 3, 3]
    index = stratified_order(records.labels, 4)[:9].sort().values
    assert torch.equal(part.inputs, records.inputs[index])
    assert torch.equal(
        take(Items([records[number] for number in range(30)]), 9, seed=4).inputs, part.inputs
    )
    assert len(take(records)) == len(take(records, 99)) == 30
    with pytest.raises(SettingError, match="limit must be at least 1, not 0"):
        take(records, 0)


def test_check_batch_accepts_large_finite_values() -> None:
    check_batch(torch.full((2, 3), 3e38), torch.tensor([0, 1]), 2)


def test_check_batch_names_the_record() -> None:
    inputs = torch.zeros(4, 2)
    inputs[2, 1] = float("inf")
    with pytest.raises(DataError, match="record 12 of x holds NaN or infinity"):
        check_batch(inputs, torch.zeros(4).long(), 2, "x", first=10)


def test_batches_do_not_cross_spans_and_skip_what_is_not_asked_for() -> None:
    for dataset in (Items(pairs(30)), Stream(pairs(30))):
        found = list(batches(dataset, [range(3, 8), range(20, 30)], size=4))
        assert [one[:, 0, 0, 0].tolist() for one, _ in found] == [
            [3, 4, 5, 6],
            [7],
            [20, 21, 22, 23],
            [24, 25, 26, 27],
            [28, 29],
        ]


def test_a_stream_that_got_shorter_is_told() -> None:
    with pytest.raises(DataError, match="ended after 5 records"):
        list(batches(Stream(pairs(5)), [range(9)]))


def test_a_survey_knows_the_data_set_again() -> None:
    items = pairs(BATCH + 3)
    prints = {survey(dataset).fingerprint() for dataset in (Items(items), Stream(items))}
    assert len(prints) == 1
    changed = [*items[:-1], (items[-1][0] + 1, items[-1][1])]
    assert survey(Items(changed)).fingerprint() not in prints
    assert survey(Items(changed)).labels_sha256() == survey(Items(items)).labels_sha256()
    assert survey(Items(items)).count == BATCH + 3


def test_digits_are_split_the_same_each_time() -> None:
    train, test = digits()
    assert (len(train), len(test)) == (1438, 359)
    assert train.shape == (1, 8, 8)
    assert 0 <= float(train.inputs.min()) < float(train.inputs.max()) <= 1
    assert train.classes == tuple("0123456789")
    assert int(test.labels.bincount().min()) >= 34
    assert torch.equal(train.inputs, digits()[0].inputs)
    both = torch.cat([train.inputs, test.inputs]).flatten(1)
    assert len(both.unique(dim=0)) == 1797
