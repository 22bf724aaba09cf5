"""The loss of spec 4 is the task's loss and the weighted entropy of every stochastic layer."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import sfumato as sf
from sfumato.errors import SettingError
from sfumato.train import Batch, MaxEntropyLoss, Recipe, train_classifier
from tests.train.toys import problem


def two_layers() -> nn.Module:
    return nn.Sequential(
        sf.nn.StochasticLinear(4, 8), nn.ReLU(), sf.nn.StochasticLinear(8, 6), nn.ReLU(),
        nn.Linear(6, 3),
    )  # fmt: skip


def by_hand(log_scale: torch.Tensor, margin: float, over: str) -> float:
    rows = log_scale.double().tolist()
    records, neurons = len(rows), len(rows[0])
    if over == "neuron":
        means = [sum(row[j] for row in rows) / records for j in range(neurons)]
    elif over == "sample":
        means = [sum(row) / neurons for row in rows]
    else:
        means = [value for row in rows for value in row]
    return sum(max(margin - mean, 0.0) for mean in means) / len(means)


@pytest.mark.parametrize("over", ["neuron", "sample", "element"])
def test_task_and_entropy(over: Any) -> None:
    torch.manual_seed(0)
    model, x, labels = two_layers(), torch.randn(5, 4), torch.tensor([0, 1, 2, 0, 1])
    batch = Batch(x, labels, torch.arange(5), 0.0)
    with sf.sampling(model, "mean"), sf.record(model) as emitted:
        task = F.cross_entropy(model(x), labels)
    with sf.sampling(model, "mean"):
        loss = MaxEntropyLoss(0.3, math.log(0.7), over)(model, batch)
    entropy = sum(by_hand(s.detach(), math.log(0.7), over) for s in emitted.log_scales.values())
    assert entropy > 0
    assert float(loss.detach()) == pytest.approx(float(task.detach()) + 0.3 * entropy, rel=1e-5)


def test_neurons_of_a_layer_on_sequences() -> None:
    """Their entropy is averaged over records and positions, not over neurons and records."""
    torch.manual_seed(0)
    model = nn.Sequential(sf.nn.StochasticLinear(3, 4), nn.Flatten(), nn.Linear(20, 2))
    with torch.no_grad():
        model[0].get_parameter("bias")[4] = 10.0  # one neuron is loud
    batch = Batch(torch.randn(7, 5, 3), torch.arange(7) % 2, torch.arange(7), 0.0)
    with sf.sampling(model, "mean"), sf.record(model) as emitted:
        task = F.cross_entropy(model(batch.x), batch.labels)
    (log_scale,) = emitted.log_scales.values()
    assert log_scale.shape == (7, 5, 4)
    with sf.sampling(model, "mean"):
        loss = MaxEntropyLoss(1.0, 1.4, "neuron")(model, batch)
    wanted = by_hand(log_scale.detach().flatten(0, 1), 1.4, "neuron")
    assert wanted > 1  # three silent neurons, which the loud one does not hide
    assert float(loss.detach() - task.detach()) == pytest.approx(wanted, rel=1e-5)


def test_a_large_weight_makes_noise() -> None:
    inputs, labels = problem()
    scales = []
    for weight in (0.0, 1.0):
        torch.manual_seed(0)
        model = nn.Sequential(sf.nn.StochasticLinear(inputs.shape[1], 8), nn.ReLU(),
                              nn.Linear(8, int(labels.max()) + 1))  # fmt: skip
        loss = MaxEntropyLoss(weight, math.log(4), "neuron")
        recipe = Recipe(epochs=1, min_steps=60, lr=1e-2)
        train_classifier(model, inputs, labels, recipe, seed=0, loss=loss)
        with sf.record(model) as emitted, torch.no_grad():
            model(inputs)
        scales.append(float(next(iter(emitted.log_scales.values())).mean()))
    assert scales[1] > scales[0] + 0.5


def test_no_stochastic_layer() -> None:
    batch = Batch(torch.rand(2, 4), torch.tensor([0, 1]), torch.arange(2), 0.0)
    with pytest.raises(SettingError, match="stochastic layers"):
        MaxEntropyLoss(0.1, 1.0, "sample")(nn.Linear(4, 2), batch)
    with pytest.raises(SettingError, match="at least 0"):
        MaxEntropyLoss(-1.0, 1.0, "sample")
