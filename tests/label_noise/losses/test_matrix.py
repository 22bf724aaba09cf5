"""The matrix of label mistakes, from networks whose answers are known."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sfumato.errors import DataError, SettingError
from sfumato.label_noise import PatternedFlips, count_matrix, estimate_matrix
from tests.label_noise.toys import Fixed

CHANCES = torch.tensor(
    [[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8]],
    dtype=torch.float64,
)
RECORDS = torch.arange(5)


def by_hand(percentile: float) -> torch.Tensor:
    rows = []
    for own in range(3):
        order = sorted(range(5), key=lambda i: float(CHANCES[i, own]))
        rows.append(CHANCES[order[round(percentile / 100 * 4)]])
    return torch.stack(rows)


def test_argmax_is_the_record_most_like_the_class() -> None:
    found = estimate_matrix(Fixed(CHANCES.log()), RECORDS, "argmax")
    assert torch.allclose(found, CHANCES[[0, 2, 4]])


@pytest.mark.parametrize("percentile", [100.0, 97.0, 75.0, 40.0])
def test_percentile(percentile: float) -> None:
    found = estimate_matrix(Fixed(CHANCES.log()), RECORDS, percentile)
    assert torch.allclose(found, by_hand(percentile))


@pytest.mark.parametrize("batch_size", [1, 2, 1024])
def test_batches_do_not_matter(batch_size: int) -> None:
    found = estimate_matrix(Fixed(CHANCES.log()), RECORDS, 97.0, batch_size)
    assert torch.allclose(found, by_hand(97.0))


def test_a_perfect_network_finds_the_matrix() -> None:
    clean = torch.arange(1000) % 4
    noisy = PatternedFlips(0.4).corrupt(clean, seed=0)
    model = Fixed(noisy.matrix[clean].clamp_min(1e-12).log())
    for rule in ("argmax", 97.0):
        found = estimate_matrix(model, torch.arange(1000), rule)
        assert torch.allclose(found, noisy.matrix, atol=1e-9)


def test_counting_is_the_share_of_labels() -> None:
    clean = torch.arange(1200) % 4
    noisy = PatternedFlips(0.4).corrupt(clean, seed=0)
    truth = Fixed(torch.nn.functional.one_hot(clean, 4).double())
    found = count_matrix(truth, torch.arange(1200), noisy.labels)
    for own in range(4):
        for other in range(4):
            here = noisy.labels[clean == own] == other
            assert float(found[own, other]) == pytest.approx(float(here.double().mean()))


def test_a_class_without_records_is_never_mistaken() -> None:
    logits = torch.zeros(4, 3)
    logits[:2, 0], logits[2:, 1] = 1.0, 1.0
    found = count_matrix(Fixed(logits), torch.arange(4), torch.tensor([0, 1, 1, 1]))
    assert found.tolist() == [[0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]


@pytest.mark.parametrize("percentile", [0, -1, 101, float("nan")])
def test_no_percentile(percentile: Any) -> None:
    with pytest.raises(SettingError, match="percentile"):
        estimate_matrix(Fixed(CHANCES), RECORDS, percentile)


def test_what_cannot_be_estimated_from() -> None:
    with pytest.raises(DataError, match="no records"):
        estimate_matrix(Fixed(CHANCES), torch.arange(0))
    with pytest.raises(DataError, match="NaN"):
        estimate_matrix(Fixed(CHANCES * torch.nan), RECORDS)
    with pytest.raises(SettingError, match="logits"):
        estimate_matrix(Fixed(CHANCES[:, :1]), RECORDS)
    with pytest.raises(SettingError, match="no logit"):
        count_matrix(Fixed(CHANCES), RECORDS, torch.tensor([0, 1, 2, 3, 0]))
    with pytest.raises(DataError, match="5 records have 3 labels"):
        count_matrix(Fixed(CHANCES), RECORDS, torch.tensor([0, 1, 2]))
