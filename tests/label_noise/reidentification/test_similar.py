from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sfumato.errors import DataError
from sfumato.label_noise.noise import NoisyLabels
from sfumato.label_noise.reidentification import SimilarIdentities
from sfumato.label_noise.reidentification.similar import most_alike


def people(identities: int = 12, each: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.arange(identities).repeat_interleave(each)
    return torch.randn(identities, 4)[labels] + 0.3 * torch.randn(len(labels), 4), labels


def test_the_most_alike_of_another_identity() -> None:
    features, labels = people()
    for record, other in enumerate(most_alike(features, labels).tolist()):
        rest = [j for j in range(len(labels)) if labels[j] != labels[record]]
        nearest = min(rest, key=lambda j: float((features[j] - features[record]).norm()))
        assert other == nearest


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 1.0])
def test_exactly_that_share_is_exchanged(share: float) -> None:
    features, labels = people()
    noisy = SimilarIdentities(share).corrupt(labels, features, seed=1)
    assert int(noisy.flipped.sum()) == round(share * len(labels))
    alike = labels[most_alike(features, labels)]
    assert torch.equal(noisy.labels[noisy.flipped], alike[noisy.flipped])
    torch.testing.assert_close(noisy.matrix.sum(1), torch.ones(12, dtype=torch.float64))
    assert noisy.matrix.diagonal().tolist() == pytest.approx([1 - share] * 12)


def test_other_seeds_choose_others_and_the_file_is_reusable(tmp_path: Path) -> None:
    features, labels = people()
    noise = SimilarIdentities(0.3)
    noisy = noise.corrupt(labels, features, seed=1)
    assert torch.equal(noisy.labels, noise.corrupt(labels, features, seed=1).labels)
    assert not torch.equal(noisy.labels, noise.corrupt(labels, features, seed=2).labels)
    noisy.save(tmp_path)
    again = NoisyLabels.load(tmp_path, labels)
    assert torch.equal(again.labels, noisy.labels)
    assert again.settings == {"law": "SimilarIdentities", "probability": 0.3}


def test_a_number_that_no_picture_has() -> None:
    features, labels = people(3)
    noisy = SimilarIdentities(0.5).corrupt(labels, features, seed=0, classes=4)
    assert noisy.matrix[3].tolist() == [0, 0, 0, 1]


def test_it_needs_features() -> None:
    features, labels = people()
    with pytest.raises(DataError, match="needs features"):
        SimilarIdentities(0.5).corrupt(labels, seed=0)
    with pytest.raises(DataError):
        SimilarIdentities(0.5).corrupt(labels, features * float("nan"), seed=0)
    with pytest.raises(DataError, match="one label"):
        most_alike(features, labels * 0)
