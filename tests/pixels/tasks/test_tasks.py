"""Losses, scores and values of the tasks, against plain references."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.metrics import accuracy_score, jaccard_score

from sfumato.errors import DataError, SettingError, StoreError
from sfumato.pixels.tasks import Depth, Regression, Segmentation, Task, reveal, task_from

EVERYWHERE = torch.ones(3, 1, 5, 6, dtype=torch.bool)


def maps(seed: int, classes: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, classes, (3, 1, 5, 6), generator=generator)


def test_scores_of_classes_are_those_of_scikit_learn_over_the_set() -> None:
    task, truth, made = Segmentation(4), maps(0), maps(1)
    counted = torch.rand(3, 1, 5, 6) < 0.7
    found = task.figures(task.tally(task.encode(made), truth, counted))
    pair = truth[counted].numpy(), made[counted].numpy()
    assert found["miou"] == pytest.approx(jaccard_score(*pair, average="macro"))
    assert found["accuracy"] == pytest.approx(accuracy_score(*pair))


def test_tallies_of_parts_add_up() -> None:
    task, truth, made = Segmentation(4), maps(0), maps(1)
    whole = task.tally(task.encode(made), truth, EVERYWHERE)
    parts = [task.tally(task.encode(made[i : i + 1]), truth[i : i + 1], EVERYWHERE[:1])
             for i in range(3)]  # fmt: skip
    assert torch.equal(torch.stack(parts).sum(0), whole)


def test_a_class_that_is_nowhere_does_not_count_in_the_mean() -> None:
    task, truth = Segmentation(5), torch.zeros(1, 1, 1, 4, dtype=torch.int64)
    made = task.encode(torch.tensor([[[[0, 0, 0, 1]]]]))
    found = task.figures(task.tally(made, truth, torch.ones(1, 1, 1, 4, dtype=torch.bool)))
    assert found["miou"] == pytest.approx((0.75 + 0) / 2)


def test_nothing_counted_gives_no_figure() -> None:
    nowhere = torch.zeros_like(EVERYWHERE)
    for task, target in ((Segmentation(4), maps(0)), (Depth(), torch.rand(3, 1, 5, 6))):
        assert task.figures(task.tally(task.encode(target), target, nowhere)) == {}


def test_errors_are_in_the_unit_of_the_target() -> None:
    task, target = Depth(0.5, offset=2.0), 2 + torch.rand(3, 1, 5, 6)
    made = task.encode(target + torch.tensor([[[[0.3, -0.1]]]]).repeat(3, 1, 5, 3))
    found = task.figures(task.tally(made, target, EVERYWHERE))
    assert found["rmse"] == pytest.approx(math.sqrt((0.09 + 0.01) / 2), rel=1e-4)
    assert found["mae"] == pytest.approx(0.2, rel=1e-4)
    assert torch.allclose(task.decode(task.encode(target)), target)


def test_the_loss_is_the_squared_error_of_the_source_or_the_absolute_one() -> None:
    target, made = torch.full((1, 2, 1, 1), 4.0), torch.tensor([3.0, 1.0]).reshape(1, 2, 1, 1)
    assert Regression(2, scale=2.0).loss(made, target).item() == pytest.approx((1 + 1) / 2)
    absolute = Regression(2, scale=2.0, error="absolute", offset=1.0)
    assert absolute.loss(made, target).item() == pytest.approx((1.5 + 0.5) / 2)


def test_cross_entropy_per_pixel() -> None:
    task, truth, made = Segmentation(4), maps(0), torch.randn(3, 4, 5, 6)
    chosen = made.log_softmax(1).gather(1, truth)
    assert torch.allclose(task.loss(made, truth), -chosen)


def test_votes_become_logits_that_decode_to_the_majority() -> None:
    task, truth = Segmentation(4), maps(0)
    votes = 0.6 * task.encode(truth) + 0.4 * task.encode(maps(1))
    assert torch.equal(task.decode(task.expand(votes)), truth)
    assert bool(torch.isfinite(task.expand(torch.zeros(1, 4, 1, 1))).all())


@pytest.mark.parametrize("task", [Segmentation(4), Depth(0.5, offset=1.0), Regression(1)])
def test_a_failed_measurement_shows_nothing(task: Task) -> None:
    target = maps(0) if isinstance(task, Segmentation) else torch.rand(3, 1, 5, 6)
    mask = (torch.rand(3, 1, 5, 6) < 0.5).float()
    valid = torch.rand(3, 1, 5, 6) < 0.5
    values, shown = reveal(task, mask, target, valid)
    assert torch.equal(shown, mask * valid)
    assert not bool((values * (1 - shown)).any())
    assert torch.equal(values, task.encode(target) * shown)


def test_void_classes_have_no_values() -> None:
    assert not bool(Segmentation(3).encode(torch.tensor([[[[3, -1, 255]]]])).any())


def test_the_gradient_passes_to_the_mask() -> None:
    mask = torch.ones(3, 1, 5, 6, requires_grad=True)
    target = 1 + torch.rand(3, 1, 5, 6)
    reveal(Depth(), mask, target, EVERYWHERE)[0].sum().backward()
    assert mask.grad is not None and torch.equal(mask.grad, target)


@pytest.mark.parametrize(
    "task",
    [Segmentation(3, ["a", "b", "c"]), Depth(0.7, offset=2.0), Regression(3, 0.5, unit="lux")],
)
def test_settings_make_the_same_task_again(task: Task) -> None:
    again = task_from(task.settings())
    assert type(again) is type(task) and again.settings() == task.settings()


def test_unknown_settings_are_refused() -> None:
    for settings in ({}, {"task": "flow"}, {"task": "depth", "colour": 1}):
        with pytest.raises(StoreError, match="no task"):
            task_from(settings)


def test_wrong_arguments_are_refused() -> None:
    for make in (
        lambda: Segmentation(1),
        lambda: Segmentation(3, ["a"]),
        lambda: Depth(0.0),
        lambda: Regression(0),
        lambda: Regression(1, error="cubic"),  # type: ignore[arg-type]
    ):
        with pytest.raises(SettingError):
            make()


@pytest.mark.parametrize(
    ("task", "target", "message"),
    [
        (Segmentation(2), maps(0), "from 0 to 3"),
        (Segmentation(4), torch.rand(3, 1, 5, 6), "whole numbers"),
        (Depth(), torch.rand(3, 2, 5, 6), "must be"),
        (Depth(), torch.full((3, 1, 5, 6), torch.nan), "NaN"),
        (Depth(), maps(0), "floating point"),
    ],
)
def test_targets_of_another_kind_are_refused(
    task: Task, target: torch.Tensor, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        task.check(target, EVERYWHERE)


def test_nothing_valid_is_refused() -> None:
    for task, target in ((Segmentation(4), maps(0)), (Depth(), torch.rand(3, 1, 5, 6))):
        with pytest.raises(DataError, match="nothing to learn"):
            task.check(target, torch.zeros_like(EVERYWHERE))
