"""A network trained on digits, changed and trained on: nothing lost, and something gained."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import sfumato as sf
from sfumato.data import digits
from sfumato.train import Recipe, accuracy, train_classifier

LONG = Recipe(epochs=4, min_steps=1, batch_size=64, lr=5e-3)
RECORDS = 600


def network(channels: int, classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.LazyLinear(classes),
    )


def loss_on(model: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    with torch.no_grad():
        return float(F.cross_entropy(model(inputs), labels))


def test_a_trained_network_is_changed_and_trained_on() -> None:
    train, test = digits()
    train = train.subset(range(RECORDS))
    model = network(train.shape[0], train.num_classes)
    model(train.inputs[:2])
    train_classifier(model, train.inputs, train.labels, LONG, seed=0)
    spec = {"3": "stochastic", "6": "bayesian"}
    assert sf.check(model, spec) == []
    noisy = sf.convert(model, spec, scale=1.0)
    with sf.sampling(noisy, "mean"):
        before = accuracy(noisy, test.inputs, test.labels)
    assert before == accuracy(model, test.inputs, test.labels) > 0.8

    sampled = loss_on(noisy, train.inputs, train.labels)
    assert sampled > 2 * loss_on(model, train.inputs, train.labels)
    optimizer = torch.optim.Adam(noisy.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        loss = F.cross_entropy(noisy(train.inputs), train.labels)
        (loss + sf.objectives.kl(noisy) / (100 * RECORDS)).backward()
        optimizer.step()
    assert loss_on(noisy, train.inputs, train.labels) < sampled / 2
