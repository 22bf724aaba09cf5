from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from sfumato.errors import DataError, SettingError
from sfumato.label_noise.reidentification import Identities, retrieval

Marks = tuple[Tensor, Tensor]


def by_hand(distances: Tensor, query: Marks, gallery: Marks) -> tuple[list[float], list[int]]:
    """Average precision and the first right rank of each query, spelled out in plain Python."""
    precisions, firsts = [], []
    for row, identity, camera in zip(distances.tolist(), *(m.tolist() for m in query), strict=True):
        listed = sorted(zip(row, *(m.tolist() for m in gallery), strict=True), key=lambda e: e[0])
        rank, hits, total, first = 0, 0, 0.0, 0
        for _, who, where in listed:
            if who == -1 or (who == identity and where == camera):
                continue
            rank += 1
            if who == identity:
                hits += 1
                total += hits / rank
                first = first or rank
        precisions.append(total / hits if hits else math.nan)
        firsts.append(first)
    return precisions, firsts


def marks(size: int, identities: tuple[int, ...], chance: np.random.Generator) -> Marks:
    picked = chance.choice(np.array(identities), size)
    return torch.from_numpy(picked), torch.from_numpy(chance.integers(1, 4, size))


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_reference(seed: int) -> None:
    chance = np.random.default_rng(seed)
    distances = torch.from_numpy(chance.random((20, 60)))
    query = marks(20, (1, 2, 3, 4), chance)
    gallery = marks(60, (-1, 0, 1, 2, 3, 4), chance)
    found = retrieval(distances, query, gallery, ranks=(1, 2, 5, 10))
    precisions, firsts = by_hand(distances, query, gallery)
    assert found.average_precision.tolist() == pytest.approx(precisions, nan_ok=True)
    valid = [first for first in firsts if first]
    for k, share in found.cmc.items():
        assert share == pytest.approx(sum(first <= k for first in valid) / len(valid))
    assert found.queries == len(valid)
    assert found.mean_average_precision == pytest.approx(np.nanmean(precisions))


def test_it_agrees_with_scikit_learn_where_cameras_leave_nothing_out() -> None:
    from sklearn.metrics import average_precision_score

    chance = np.random.default_rng(7)
    distances = torch.from_numpy(chance.random((10, 50)))
    query = (1 + torch.arange(10) % 4, torch.zeros(10).long())
    gallery = (1 + torch.arange(50) % 4, torch.ones(50).long())
    found = retrieval(distances, query, gallery)
    for row, identity, precision in zip(
        distances, query[0], found.average_precision.tolist(), strict=True
    ):
        right = (gallery[0] == identity).numpy()
        assert precision == pytest.approx(average_precision_score(right, -row.numpy()))


def test_the_same_identity_by_the_same_camera_and_junk_do_not_count() -> None:
    query = (torch.tensor([1]), torch.tensor([1]))
    #        same camera, junk, distractor, another identity by the same camera, the right one
    gallery = (torch.tensor([1, -1, 0, 2, 1]), torch.tensor([1, 2, 2, 1, 2]))
    found = retrieval(torch.tensor([[0.0, 0.1, 0.2, 0.3, 0.4]]), query, gallery, (1, 2, 3))
    assert found.mean_average_precision == pytest.approx(1 / 3)
    assert found.cmc == {1: 0.0, 2: 0.0, 3: 1.0}
    assert found.figures()["rank_3"] == 1.0


def test_queries_without_an_answer_do_not_count() -> None:
    query = (torch.tensor([1, 2, 1]), torch.tensor([1, 1, 2]))
    gallery = (torch.tensor([1, 2]), torch.tensor([2, 1]))
    found = retrieval(torch.zeros(3, 2), query, gallery)
    assert found.queries == 1
    assert found.average_precision.isnan().tolist() == [False, True, True]
    with pytest.raises(DataError, match="no query can be answered"):
        retrieval(torch.zeros(1, 1), (query[0][:1], query[1][:1]), (query[0][1:2], query[1][:1]))


def test_distractors_count_against_the_right_one_and_ask_nothing() -> None:
    """Market-1501: 0 in the gallery is nobody; a query that is 0 is somebody numbered from 0."""
    query = (torch.tensor([1]), torch.tensor([1]))
    gallery = (torch.tensor([0, 0, 1, -1]), torch.tensor([2, 1, 2, 2]))
    found = retrieval(torch.tensor([[0.1, 0.2, 0.3, 0.0]]), query, gallery)
    assert found.mean_average_precision == pytest.approx(1 / 3)  # junk is left out, both 0 count
    with pytest.raises(DataError, match=r"a query has the identity 0, .* number people from 1"):
        retrieval(torch.zeros(1, 4), (torch.tensor([0]), torch.tensor([1])), gallery)


def test_pictures_may_be_given_themselves() -> None:
    data = Identities(torch.zeros(4, 1, 2, 2), torch.tensor([1, 2, 1, 2]), torch.arange(4))
    found = retrieval(torch.eye(4).neg(), data, data)
    assert found.queries == 4  # a picture itself is by the same camera, and left out
    assert found.cmc[10] == 1.0


@pytest.mark.parametrize(
    ("distances", "ranks", "error", "message"),
    [
        (torch.zeros(2, 2), (1,), DataError, r"must be \[1, 2\]"),
        (torch.full((1, 2), math.nan), (1,), DataError, "NaN"),
        (torch.zeros(1, 2), (), SettingError, "ranks"),
        (torch.zeros(1, 2), (0, 1), SettingError, "ranks"),
    ],
)
def test_what_cannot_be_ranked(
    distances: Tensor, ranks: tuple[int, ...], error: type[Exception], message: str
) -> None:
    one, two = torch.tensor([1]), torch.tensor([1, 2])
    with pytest.raises(error, match=message):
        retrieval(distances, (one, one), (two, two), ranks)
