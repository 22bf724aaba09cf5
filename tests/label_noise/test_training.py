"""Data that cannot be learned from is refused, with a reason."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from sfumato.errors import DataError, SettingError
from sfumato.label_noise import METHODS, calibration_error, quality, train_with_noise
from sfumato.train import Recipe
from tests.label_noise.toys import Fixed, clouds, network

INPUTS, LABELS = clouds(60)
QUICK = Recipe(epochs=1, min_steps=1)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.zeros(60, dtype=torch.long), "one class"),
        (LABELS[:0], "at least one label"),
        (LABELS.float(), "whole numbers"),
        (LABELS - 1, "must lie in"),
        (LABELS[:50], "60 records have 50 labels"),
    ],
)
@pytest.mark.parametrize("method", ["plain", "se-snn+forward", "cleanlab"])
def test_labels(method: str, labels: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        train_with_noise(method, network, INPUTS, labels, recipe=QUICK)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_records(value: float) -> None:
    inputs = INPUTS.clone()
    inputs[17, 2] = value
    with pytest.raises(DataError, match="record 17"):
        train_with_noise("plain", network, inputs, LABELS, recipe=QUICK)


@pytest.mark.parametrize("method", METHODS)
def test_more_classes_than_logits(method: str) -> None:
    labels = LABELS.clone()
    labels[0] = 3
    with pytest.raises(SettingError, match="logits"):
        train_with_noise(method, network, INPUTS, labels, recipe=QUICK)


@pytest.mark.parametrize("method", ["plain", "se-snn+forward"])
def test_make_makes_the_network(method: str) -> None:
    wrong: Any = network()
    with pytest.raises(SettingError, match="a function that makes the network, not a Sequential"):
        train_with_noise(method, wrong, INPUTS, LABELS, recipe=QUICK)
    wrong = None
    with pytest.raises(SettingError, match="a function that makes the network, not a NoneType"):
        train_with_noise(method, wrong, INPUTS, LABELS, recipe=QUICK)
    wrong = lambda: None  # noqa: E731
    with pytest.raises(SettingError, match=r"must return an nn\.Module, not NoneType"):
        train_with_noise(method, wrong, INPUTS, LABELS, recipe=QUICK)


def test_quality() -> None:
    logits = torch.tensor([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0], [0.0, 2.0]])
    found = quality(Fixed(logits), torch.arange(4), torch.tensor([0, 1, 1, 1]))
    assert found.accuracy == 0.75
    confidence = float(logits[0].softmax(0)[0])
    assert found.calibration_error == pytest.approx(abs(0.75 - confidence), abs=1e-6)


def test_calibration_error_by_hand() -> None:
    torch.manual_seed(0)
    chances = torch.randn(300, 4).softmax(1)
    labels = torch.randint(4, (300,))
    confidence, guess = chances.max(1)
    expected = 0.0
    for low in range(15):
        inside = (confidence > low / 15) & (confidence <= (low + 1) / 15)
        if bool(inside.any()):
            right = (guess == labels)[inside].double().mean()
            expected += abs(float(right - confidence[inside].double().mean())) * float(inside.sum())
    assert calibration_error(chances, labels) == pytest.approx(expected / 300, abs=1e-5)


def test_a_confidence_of_one_is_a_bin_of_its_own() -> None:
    """Fifty records at 1, 45 of them right, and fifty at 0.95, all right: 0.05 + 0.025."""
    chances = torch.tensor([[1.0, 0.0]] * 50 + [[0.95, 0.05]] * 50)
    labels = (torch.arange(100) < 5).long()
    assert calibration_error(chances, labels) == pytest.approx(0.075, abs=1e-5)


def test_quality_of_what_does_not_fit() -> None:
    with pytest.raises(SettingError, match="no logit"):
        quality(network(), INPUTS, LABELS + 1)
    with pytest.raises(DataError, match="60 records have 10 labels"):
        quality(network(), INPUTS, LABELS[:10])
    assert quality(network(), INPUTS[:1], LABELS[:1]).accuracy in (0.0, 1.0)


def test_the_model_comes_back_in_evaluation_mode() -> None:
    done = train_with_noise("dropout", network, INPUTS, LABELS, recipe=QUICK)
    assert not any(module.training for module in done.model.modules())
    assert isinstance(done.model, nn.Module)


def test_records_that_the_network_does_not_take() -> None:
    numpy: Any = INPUTS.numpy()
    for inputs, error, message in (
        (numpy, DataError, "must be a tensor"),
        (torch.full((60,), torch.nan), DataError, "record 0 holds NaN"),
        (INPUTS.double(), SettingError, "does not take records of shape .* torch.float64"),
        (INPUTS[:, :3], SettingError, "does not take records of shape .3."),
    ):
        with pytest.raises(error, match=message):
            train_with_noise("plain", network, inputs, LABELS, recipe=QUICK)
        with pytest.raises(error, match=message):
            quality(network(), inputs, LABELS)


@pytest.mark.parametrize(
    ("chances", "labels", "message"),
    [
        (torch.full((3, 2), torch.nan), torch.tensor([0, 1, 1]), "in .0, 1."),
        (torch.full((3, 2), 1.5), torch.tensor([0, 1, 1]), "in .0, 1."),
        (torch.full((3, 2), 0.5), torch.tensor([0, 1, 2]), "must lie in 0 to 1"),
        (torch.full((3, 2), 0.5), torch.tensor([-1, 1, 1]), "must lie in 0 to 1"),
        (torch.full((3, 2), 0.5), torch.tensor([0, 1]), "2 labels need probabilities"),
        (torch.full((3,), 0.5), torch.tensor([0, 1, 1]), "3 labels need probabilities"),
    ],
)
def test_no_calibration_error_of_nonsense(chances: Any, labels: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        calibration_error(chances, labels)
    with pytest.raises(SettingError, match="bins"):
        calibration_error(torch.eye(2), torch.arange(2), 0)
