"""Small networks on digits, trained in a second or two, and models of known behaviour."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.train import MaxEntropyLoss, Recipe, mlp, train_classifier
from sfumato.train.seed import seeded

SHAPE = (1, 8, 8)


@cache
def digits(records: int = 60) -> tuple[Tensor, Tensor]:
    """The first test records and their labels."""
    test = sf.data.digits()[1]
    return test.inputs[:records], test.labels[:records]


@cache
def plain() -> nn.Module:
    """Without defence."""
    train = sf.data.digits()[0]
    with seeded("plain"):
        model = mlp(SHAPE, 10, (64, 64))
    train_classifier(model, train.inputs, train.labels, Recipe(epochs=20, lr=3e-3), seed=0)
    return model.eval()


@cache
def noisy() -> nn.Module:
    """SE-SNN with a margin of log 16, which hides nothing."""
    return _se_snn(2.77, Recipe(epochs=20, lr=3e-3))


@cache
def masking() -> nn.Module:
    """SE-SNN with a margin of 16 nats: noise so loud that the logits must be blown up."""
    recipe = Recipe(epochs=100, lr=3e-2, schedule="constant")
    return _se_snn(16.0, recipe, weight=1.0)


def _se_snn(margin: float, recipe: Recipe, weight: float = 0.1) -> nn.Module:
    train = sf.data.digits()[0]
    with seeded(1):
        model = sf.convert(mlp(SHAPE, 10, (64, 64)), {"3": "stochastic"})
    loss = MaxEntropyLoss(weight, margin, "element")
    train_classifier(model, train.inputs, train.labels, recipe, seed=0, loss=loss)
    return model.eval()


class Times(nn.Module):
    """A network with its logits multiplied: the same predictions, a saturated softmax."""

    def __init__(self, model: nn.Module, factor: float) -> None:
        super().__init__()
        self.model = model
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * self.model(x)


class Blind(nn.Module):
    """A network through which no gradient comes back."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class Coin(nn.Module):
    """Right with probability Φ(edge), whatever the record is: class 0, or else class 1."""

    def __init__(self, edge: float) -> None:
        super().__init__()
        self.edge = edge

    def forward(self, x: Tensor) -> Tensor:
        found = self.edge + torch.randn(len(x), 1) + 0.0 * x.flatten(1)[:, :1]
        return torch.cat([found, torch.zeros_like(found), torch.full_like(found, -9.0)], 1)
