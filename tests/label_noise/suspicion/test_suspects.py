"""Suspicious labels: their order, and how well it finds wrong ones, against scikit-learn."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

import sfumato as sf
from sfumato.errors import DataError, SettingError
from sfumato.label_noise import SCORES, certainty, out_of_fold, suspects, suspects_out_of_fold
from sfumato.label_noise.methods import Job
from sfumato.label_noise.methods.folds import fold_numbers, fold_probabilities
from sfumato.label_noise.methods.one_stage import PLAIN
from sfumato.label_noise.networks import with_noise
from sfumato.label_noise.suspicion.detection import detect
from sfumato.label_noise.suspicion.scores import loss_of, margin_of
from sfumato.train import Recipe
from tests.label_noise.toys import CLASSES, RECIPE, Fixed, clouds, network

LOGITS = torch.randn(8, 4, generator=torch.Generator().manual_seed(4))
LABELS = torch.tensor([0, 1, 2, 3, 3, 2, 1, 0])


def test_scores_by_hand() -> None:
    for row, label, loss, margin in zip(
        LOGITS.double().tolist(),
        LABELS.tolist(),
        loss_of(LOGITS.double(), LABELS).tolist(),
        margin_of(LOGITS.double(), LABELS).tolist(),
        strict=True,
    ):
        total = sum(math.exp(each) for each in row)
        assert loss == pytest.approx(-math.log(math.exp(row[label]) / total))
        others = max(each for k, each in enumerate(row) if k != label)
        assert margin == pytest.approx(others - row[label])


@pytest.mark.parametrize("score", ["loss", "margin"])
def test_the_order(score: Any) -> None:
    found = suspects(Fixed(LOGITS), torch.arange(8), LABELS, score)
    assert sorted(found.records.tolist()) == list(range(8))
    assert bool((found.score.diff() <= 0).all())
    assert torch.equal(found.given, LABELS[found.records])
    assert torch.equal(found.guessed, LOGITS.argmax(1)[found.records])
    assert found.flagged == int((LOGITS.argmax(1) != LABELS).sum())
    assert len(found.top()) == found.flagged
    assert len(found) == 8
    first = found.rows(1)[0]
    assert first == {
        "record": int(found.records[0]), "given": int(found.given[0]),
        "guessed": int(found.guessed[0]), "score": float(found.score[0]),
    }  # fmt: skip


@pytest.mark.parametrize("levels", [3, 1000])
def test_detection_is_scikit_learns(levels: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    torch.manual_seed(0)
    score = torch.randint(levels, (200,)).double().sort(descending=True).values
    wrong = torch.rand(200) < torch.linspace(0.8, 0.1, 200)
    found = detect(score, wrong, 50)
    assert found.auc == pytest.approx(metrics.roc_auc_score(wrong, score))
    assert found.average_precision == pytest.approx(metrics.average_precision_score(wrong, score))
    assert found.precision == pytest.approx(float(wrong[:50].double().mean()))
    assert found.recall == pytest.approx(float(wrong[:50].sum() / wrong.sum()))
    assert found.rate == pytest.approx(float(wrong.double().mean()))
    assert found.figures()["count"] == 50


def test_a_perfect_and_a_blind_list() -> None:
    wrong = torch.tensor([True, True, False, False])
    assert detect(torch.tensor([4.0, 3.0, 2.0, 1.0]), wrong, 2).auc == 1
    blind = detect(torch.ones(4), wrong, 0)
    assert (blind.auc, blind.average_precision, blind.precision, blind.recall) == (0.5, 0.5, 0, 0)


def test_clean_labels_cannot_be_told_apart() -> None:
    found = suspects(Fixed(LOGITS), torch.arange(8), LABELS)
    with pytest.raises(DataError, match="0 of 8 labels are wrong"):
        found.detection(LABELS)
    with pytest.raises(DataError, match="3 true labels"):
        found.detection(LABELS[:3])


def test_wrong_labels_are_found() -> None:
    inputs, clean = clouds()
    labels = clean.clone()
    labels[::7] = (labels[::7] + 1) % CLASSES
    chances = out_of_fold(network, inputs, labels, RECIPE, folds=3, seed=0)
    assert chances.shape == (240, CLASSES)
    assert torch.allclose(chances.sum(1), torch.ones(240), atol=1e-5)
    found = suspects_out_of_fold(chances, labels)
    measured = found.detection(clean)
    assert found.name == "cleanlab"
    assert measured.auc > 0.95
    assert measured.recall > 0.8
    assert measured.precision > 0.8


def test_out_of_fold_has_not_seen_the_record() -> None:
    """Exchanging a record changes no network that says something of it."""
    inputs, labels = clouds(60)
    other = inputs.clone()
    part = fold_numbers(labels, 3, seed=0)
    inside = part == part[0]
    other[inside] = -other[inside]
    quick = Recipe(epochs=1, min_steps=1)
    job, changed = (Job(network, x, labels, quick) for x in (inputs, other))
    fold_probabilities(job, PLAIN, 3)
    fold_probabilities(changed, PLAIN, 3)
    stage = f"fold-{int(part[0]) + 1}"
    for name, losses in job.losses.items():
        assert (losses == changed.losses[name]) == (name == stage)


def test_spread_needs_noise_and_finds_it() -> None:
    inputs, labels = clouds(60)
    with pytest.raises(SettingError, match="stochastic layers"):
        suspects(network(), inputs, labels, "spread")
    torch.manual_seed(0)
    noisy = with_noise(network())
    found = suspects(noisy, inputs, labels, "spread", batch_size=7)
    with sf.sampling(noisy, "mean"), sf.record(noisy) as emitted, torch.no_grad():
        noisy(inputs)
    by_hand = sum(scale.double().mean(1) for scale in emitted.log_scales.values()) / 2
    assert isinstance(by_hand, torch.Tensor)
    assert torch.allclose(found.score, by_hand[found.records], atol=1e-6)
    ends = certainty(noisy, inputs, 4)
    assert ends.least.tolist() == by_hand.argsort(descending=True)[:4].tolist()
    assert ends.most.tolist() == by_hand.argsort()[:4].tolist()
    assert ends.log_scale.shape == (60,)


def test_settings_that_cannot_be() -> None:
    wrong: Any = "feeling"
    assert SCORES == ("loss", "margin", "spread")
    with pytest.raises(SettingError, match="unknown score"):
        suspects(Fixed(LOGITS), torch.arange(8), LABELS, wrong)
    with pytest.raises(SettingError, match="count"):
        certainty(with_noise(network()), clouds(6)[0], 0)
    with pytest.raises(SettingError, match="no logit"):
        suspects(Fixed(LOGITS[:, :3]), torch.arange(8), LABELS)
    with pytest.raises(SettingError, match="folds"):
        out_of_fold(network, *clouds(6), RECIPE, folds=1)


def test_data_that_cannot_be_used() -> None:
    with pytest.raises(DataError, match="whole numbers"):
        suspects(Fixed(LOGITS), torch.arange(8), LABELS.float())
    with pytest.raises(DataError, match="NaN"):
        suspects(Fixed(LOGITS * torch.nan), torch.arange(8), LABELS)
    with pytest.raises(DataError, match="8 labels need"):
        suspects_out_of_fold(LOGITS[:5].softmax(1), LABELS)
    with pytest.raises(DataError, match="finite"):
        suspects_out_of_fold(LOGITS * torch.nan, LABELS)
    with pytest.raises(DataError, match="no records"):
        certainty(with_noise(network()), torch.zeros(0, 6))


def test_a_record_of_nan_is_not_the_least_certain_one() -> None:
    inputs = clouds(6)[0]
    inputs[4, 1] = math.nan
    with pytest.raises(DataError, match="the spread of record 4 is NaN"):
        certainty(with_noise(network()), inputs, 2)
