"""Scores on what was not bought, and alarms for leaks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sfumato.errors import DataError, SettingError
from sfumato.pixels.evaluation import evaluate, evaluate_oracle, label_leaks, predict
from sfumato.pixels.evaluation.headroom import oracle_for
from sfumato.pixels.predictors import KernelInterpolation
from sfumato.pixels.scenes import Scenes, digit_scenes
from sfumato.pixels.selectors import Grid, L1Mask, Random, Stratified, Uncertainty
from sfumato.pixels.tasks import Depth, Segmentation

SIZE = (8, 8)


class Told(nn.Module):
    """What it was told, and nothing elsewhere."""

    def forward(self, image: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        return values


def room(count: int = 6) -> Scenes:
    valid = torch.rand(count, 1, *SIZE) < 0.8
    return Scenes(torch.rand(count, 2, *SIZE), torch.full((count, 1, *SIZE), 2.0), valid, Depth())


def test_bought_pixels_are_not_scored() -> None:
    found = evaluate(Random(2, SIZE), Told(), room(), k=40, batch_size=4)
    assert found.score == pytest.approx(2.0) and found.figures["mae"] == pytest.approx(2.0)
    assert (found.pixels.minimum, found.pixels.mean, found.pixels.maximum) == (40, 40, 40)


def test_failed_measurements_are_counted_and_not_avoided() -> None:
    scenes = room(40)
    found = evaluate(Random(2, SIZE), Told(), scenes, k=32)
    failed = 32 * float((~scenes.valid).float().mean())
    # 40 pictures with 32 of 64 pixels each: the standard deviation of the mean is below 0.3, and
    # six of them are passed with probability 2e-9.
    assert found.failed == pytest.approx(failed, abs=1.8)


def test_a_class_set_is_scored_as_a_whole() -> None:
    images = torch.rand(2, 1, *SIZE)
    targets = torch.zeros(2, 1, *SIZE, dtype=torch.int64)
    targets[1] = 1
    scenes = Scenes(images, targets, torch.ones(2, 1, *SIZE, dtype=torch.bool), Segmentation(2))
    found = evaluate(Grid(1, SIZE), Told(), scenes, k=4, batch_size=1)
    # Class 0 is predicted everywhere: IoU ½ and 0 over the set, not 1 and 0 picture by picture.
    assert found.figures == pytest.approx({"miou": 0.25, "accuracy": 0.5})


def test_predictions_are_what_is_scored() -> None:
    scenes = room()
    masks, made = predict(Grid(2, SIZE), Told(), scenes, k=4, batch_size=4)
    assert masks.sum((1, 2, 3)).tolist() == [4.0] * 6
    assert torch.equal(made, 2.0 * masks * scenes.valid)


def test_it_leaves_modes_and_random_state_as_they_were() -> None:
    scenes = room()
    selector, predictor = Stratified(2, SIZE), Told()
    state = torch.get_rng_state()
    first = evaluate(selector, predictor, scenes, k=5)
    assert selector.training and predictor.training and selector.mode == "sample"
    assert torch.equal(state, torch.get_rng_state())
    assert evaluate(selector, predictor, scenes, k=5).figures == first.figures


def test_rounds_answer_to_labels() -> None:
    scenes = digit_scenes("test").subset(slice(0, 24))
    predictor = KernelInterpolation(1, scenes.task)
    selector = Uncertainty(
        1, SIZE, values=1, predictor=predictor, measure="variance", start=1.0, spacing=1
    )
    found = evaluate(selector, predictor, scenes, k=16, rounds=(0.5, 0.25, 0.25))
    assert found.pixels.minimum == found.pixels.maximum == 16


def test_without_a_budget_it_counts_what_is_bought() -> None:
    scenes = room()
    torch.manual_seed(1)
    found = evaluate(L1Mask(2, SIZE), Told(), scenes, k=None)
    assert 0 <= found.pixels.minimum <= found.pixels.mean <= found.pixels.maximum <= 64
    with pytest.raises(SettingError, match="needs k"):
        evaluate(Grid(2, SIZE), Told(), scenes, k=None)


def test_nan_predictions_are_told() -> None:
    class Broken(Told):
        def forward(self, image: Tensor, values: Tensor, mask: Tensor) -> Tensor:
            return values / (1 - mask.amax())

    with pytest.raises(DataError, match="NaN"):
        evaluate(Grid(2, SIZE), Broken(), room(), k=4)


def test_the_oracle_has_headroom_and_rings_the_alarm() -> None:
    scenes = digit_scenes("test").subset(slice(0, 8))
    predictor = KernelInterpolation(1, scenes.task)
    grid = evaluate(Grid(1, SIZE), predictor, scenes, k=8)
    assert evaluate_oracle(predictor, scenes, 8, steps=8).score < grid.score
    # It sees labels that were not bought, and must be found out.
    assert label_leaks(lambda some: oracle_for(some, predictor, steps=4), scenes, 8) != []


def test_the_oracle_minds_rare_classes_more_if_it_is_told_to() -> None:
    seen: list[Tensor] = []

    def weigh(target: Tensor) -> Tensor:
        seen.append(target)
        return torch.where(target == 1, 5.0, 1.0)

    targets = (torch.rand(2, 1, *SIZE, generator=torch.Generator().manual_seed(0)) < 0.1).long()
    scenes = Scenes(
        torch.rand(2, 1, *SIZE), targets, torch.ones(2, 1, *SIZE).bool(), Segmentation(2)
    )
    made = torch.zeros(2, 2, *SIZE)
    predictor = KernelInterpolation(1, scenes.task)
    plain = oracle_for(scenes, predictor).truth.loss(made)
    weighted = oracle_for(scenes, predictor, weigh).truth.loss(made)
    assert torch.equal(weighted, torch.where(targets == 1, 5 * plain, plain))
    assert len(seen) == 1


def test_honest_selectors_do_not_leak() -> None:
    scenes = digit_scenes("test").subset(slice(0, 8))
    predictor = KernelInterpolation(1, scenes.task)
    uncertainty = Uncertainty(1, SIZE, values=1, predictor=predictor, measure="variance")
    for selector in (Random(1, SIZE), Stratified(1, SIZE, values=1), uncertainty):
        assert label_leaks(selector, scenes, 9, rounds=3) == []
