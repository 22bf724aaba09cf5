"""The training loop: it learns, resumes to the bit, and says when it diverges."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sfumato.errors import DataError, StoreError
from sfumato.train import Batch, Recipe, accuracy, cross_entropy, predictions, train_classifier
from tests.train.toys import RECIPE, network, problem, same_state


class Interrupt(Exception):
    """What a test raises to end a training early."""


def interrupting(after: int) -> Any:
    def progress(event: dict[str, Any]) -> None:
        if event["epoch"] == after:
            raise Interrupt

    return progress


def trained(seed: int = 5, **kwargs: Any) -> nn.Module:
    model = network()
    train_classifier(model, *problem(), RECIPE, seed=seed, **kwargs)
    return model


def jitter(x: Tensor, index: Tensor, _: float) -> Tensor:
    return x + 0.1 * torch.randn_like(x) * index.unsqueeze(1)


def test_it_learns() -> None:
    model, (inputs, labels) = network(), problem()
    train_classifier(model, inputs, labels, replace(RECIPE, epochs=20), seed=0)
    assert accuracy(model, inputs, labels) > 0.9


def test_seeds() -> None:
    assert same_state(trained(), trained())
    assert not same_state(trained(), trained(seed=6))


def test_the_callers_random_state_is_left_alone() -> None:
    model = network()
    before = torch.get_rng_state()
    train_classifier(model, *problem(), RECIPE, seed=0, augment=jitter)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("epoch", [1, 3])
def test_an_interrupted_training_ends_as_an_uninterrupted_one(tmp_path: Path, epoch: int) -> None:
    whole, path = trained(augment=jitter), tmp_path / "model.checkpoint"
    with pytest.raises(Interrupt):
        trained(augment=jitter, checkpoint=path, progress=interrupting(epoch))
    seen: list[int] = []
    resumed = trained(
        augment=jitter, checkpoint=path, progress=lambda event: seen.append(event["epoch"])
    )
    assert seen == list(range(epoch + 1, RECIPE.epochs + 1))
    assert same_state(resumed, whole)


def test_a_finished_training_is_not_run_again(tmp_path: Path) -> None:
    whole = trained(checkpoint=tmp_path / "model.checkpoint")
    again = trained(checkpoint=tmp_path / "model.checkpoint", progress=interrupting(1))
    assert same_state(again, whole)


def test_progress() -> None:
    events: list[dict[str, Any]] = []
    trained(progress=events.append)
    assert [event["epoch"] for event in events] == [1, 2, 3, 4]
    assert {event["epochs"] for event in events} == {4}
    assert events[-1]["loss"] < events[0]["loss"]


def test_augment_sees_each_record_once_an_epoch() -> None:
    inputs, _ = problem()
    seen: list[Tensor] = []

    def augment(x: Tensor, index: Tensor, _: float) -> Tensor:
        assert torch.equal(x, inputs[index])
        seen.append(index)
        return x

    trained(augment=augment)
    orders = torch.cat(seen).reshape(RECIPE.epochs, -1)
    assert all(torch.equal(order.sort().values, torch.arange(40)) for order in orders)
    assert not torch.equal(orders[0], orders[1])


def test_one_record_that_is_left_joins_the_last_batch() -> None:
    """Batch norm cannot learn from one record alone."""
    sizes: list[int] = []

    def noted(model: nn.Module, batch: Batch) -> Tensor:
        sizes.append(len(batch.x))
        return cross_entropy(model, batch)

    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    x, labels = torch.randn(9, 3), torch.arange(9) % 2
    recipe = Recipe(epochs=1, min_steps=0, batch_size=4)
    train_classifier(model, x, labels, recipe, seed=0, loss=noted)
    assert sizes == [4, 5]


def test_every_step_has_noise_of_its_own() -> None:
    drawn: list[float] = []

    def augment(x: Tensor, _: Tensor, __: float) -> Tensor:
        drawn.append(float(torch.rand(())))
        return x

    trained(augment=augment)
    assert len(drawn) == len(set(drawn)) == 3 * RECIPE.epochs


def test_augment_is_told_how_much_is_behind() -> None:
    told: list[float] = []

    def augment(x: Tensor, _: Tensor, behind: float) -> Tensor:
        told.append(behind)
        return x

    trained(augment=augment)
    steps = 3 * RECIPE.epochs
    assert told == [step / steps for step in range(steps)]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number(bad: float) -> None:
    inputs, labels = problem()
    inputs[7, 2] = bad
    with pytest.raises(DataError, match=r"loss became (nan|inf) in epoch 1"):
        train_classifier(network(), inputs, labels, RECIPE, seed=0)


@pytest.mark.parametrize("training", [True, False])
def test_predictions_are_made_in_evaluation_mode(training: bool) -> None:
    model, (inputs, labels) = network().train(training), problem()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first, second = predictions(model, inputs, batch_size=7), predictions(model, inputs)
    assert torch.equal(first, second) and first.shape == labels.shape
    assert model.training is training
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())


def test_accuracy_is_a_share() -> None:
    inputs = torch.eye(4)
    assert accuracy(nn.Identity(), inputs, torch.tensor([0, 1, 2, 0])) == 0.75


@pytest.mark.parametrize("other", ["records", "labels", "loss"])
def test_a_checkpoint_of_other_records_or_another_loss(tmp_path: Path, other: str) -> None:
    (inputs, labels), settings = problem(), {"seed": 5, "checkpoint": tmp_path / "run"}
    train_classifier(network(), inputs, labels, RECIPE, **settings)
    if other == "records":
        inputs = inputs + 1
    elif other == "labels":
        labels = labels.flip(0)
    else:
        settings["loss"] = lambda model, batch: 2 * cross_entropy(model, batch)
    with pytest.raises(StoreError, match="run with other settings"):
        train_classifier(network(), inputs, labels, RECIPE, **settings)
