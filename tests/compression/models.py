"""Networks of every kind that neurons are removed from, small and always the same."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.train import lenet5


class Residual(nn.Module):
    """A ResNet block: an identity shortcut and one with a convolution, batch norm everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 6, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.first = nn.Conv2d(6, 5, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(5)
        self.second = nn.Conv2d(5, 6, 3, padding=1)
        self.wider = nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.shortcut = nn.Conv2d(6, 8, 1, stride=2)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.stem(x)))
        y = F.relu(self.first_norm(self.first(x)))
        x = F.relu(x + self.second(y))
        x = torch.relu(self.wider(x) + self.shortcut(x))
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Dense(nn.Module):
    """DenseNet's way: what came before is concatenated, then batch norm, ReLU, convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.first = nn.Conv2d(4, 3, 3, padding=1)
        self.both = nn.BatchNorm2d(7)
        self.second = nn.Conv2d(7, 5, 3, padding=1)
        self.all = nn.BatchNorm2d(12)
        self.head = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = torch.cat([x, self.first(F.relu(self.norm(x)))], 1)
        x = torch.cat([x, self.second(F.relu(self.both(x)))], 1)
        return self.head(F.relu(self.all(x)).mean((2, 3)))


class Reused(nn.Module):
    """One ReLU module for several layers, one activation read by two, functions for the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.act = nn.ReLU()
        self.first = nn.Conv2d(2, 5, 3)
        self.left = nn.Conv2d(5, 4, 3)
        self.right = nn.Conv2d(5, 3, 3)
        self.hidden = nn.Linear(7 * 16, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.first(x))
        x = torch.cat([self.act(self.left(x)), F.gelu(self.right(x))], 1)
        return self.head(self.act(self.hidden(torch.flatten(x, 1))))


def vgg() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(7, 3),
    )  # fmt: skip


def grouped() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(),
        nn.Conv2d(8, 12, 3, padding=1, groups=4), nn.BatchNorm2d(12), nn.ReLU(),
        nn.Conv2d(12, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(216, 3),
    )  # fmt: skip


def depthwise() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 6, 1), nn.BatchNorm2d(6), nn.ReLU6(),
        nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.BatchNorm2d(6), nn.ReLU6(),
        nn.Conv2d(6, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip


def upward() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 5, 3, stride=2), nn.ReLU(), nn.ConvTranspose2d(5, 4, 3), nn.PReLU(4),
        nn.Flatten(), nn.Linear(100, 3),
    )  # fmt: skip


def depthwise_upward() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.PReLU(), nn.ConvTranspose2d(4, 4, 3, groups=4), nn.ReLU(),
        nn.Flatten(), nn.Linear(144, 3),
    )  # fmt: skip


def sequence() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(2, 5, 3), nn.ReLU(), nn.Conv1d(5, 4, 3), nn.Sigmoid(), nn.Flatten(),
        nn.Linear(16, 3),
    )  # fmt: skip


def volume() -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(1, 4, 2), nn.ReLU(), nn.Conv3d(4, 3, 2), nn.Tanh(), nn.Flatten(),
        nn.Linear(24, 3),
    )  # fmt: skip


PICTURE = (2, 8, 8)
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "lenet": (lambda: lenet5((1, 16, 16), 3, (4, 6, 9)), (1, 16, 16)),
    "vgg": (vgg, PICTURE),
    "residual": (Residual, PICTURE),
    "dense": (Dense, PICTURE),
    "reused": (Reused, PICTURE),
    "grouped": (grouped, PICTURE),
    "depthwise": (depthwise, PICTURE),
    "sequence": (sequence, (2, 8)),
    "volume": (volume, (1, 4, 4, 4)),
}


def network(name: str, seed: int = 0) -> tuple[nn.Module, Tensor]:
    """A network whose batch norms have seen something, and some records."""
    make, shape = NETWORKS[name]
    torch.manual_seed(seed)
    model, inputs = make(), torch.randn(12, *shape)
    lively(model)
    return model.eval(), inputs


def lively(model: nn.Module) -> None:
    """Give batch norms means, variances, scales and shifts that are not 0 and 1."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            for values in (module.running_mean, module.bias):
                torch.nn.init.normal_(values)  # type: ignore[arg-type]
            for values in (module.running_var, module.weight):
                torch.nn.init.uniform_(values, 0.5, 1.5)  # type: ignore[arg-type]


def problem(count: int = 120) -> tuple[Tensor, Tensor]:
    """Three clouds of vectors `[N, 6]` that can almost be told apart, and their labels."""
    labels = torch.arange(count) % 3
    random = torch.Generator().manual_seed(count)
    centres = torch.randn(3, 6, generator=torch.Generator().manual_seed(1))
    return torch.randn(count, 6, generator=random) + centres[labels], labels
