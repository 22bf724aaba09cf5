"""Networks of many kinds, each with a smaller one of the same code."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Residual(nn.Module):
    """A class of one's own: a sum, a concatenation, a functional activation, a free parameter."""

    def __init__(self, width: int = 6, inner: int = 5) -> None:
        super().__init__()
        self.width = width
        self.stem = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.one = nn.Conv2d(width, inner, 3, padding=1)
        self.two = nn.Conv2d(inner, width, 3, padding=1)
        self.scale = nn.Parameter(torch.rand(width, 1, 1))
        self.head = nn.Linear(2 * width, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.stem(x)))
        y = x + self.scale * self.two(torch.tanh(self.one(x)))
        both = torch.cat([x, y], 1).mean((2, 3))
        return self.head(both.reshape(-1, 2 * self.width))


class Attention(nn.Module):
    def __init__(self, width: int = 8, hidden: int = 6) -> None:
        super().__init__()
        self.embed = nn.Linear(4, width)
        self.mix = nn.MultiheadAttention(width, 2, batch_first=True)
        self.norm = nn.LayerNorm(width)
        self.wide, self.narrow = nn.Linear(width, hidden), nn.Linear(hidden, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        x = self.norm(x + self.mix(x, x, x)[0])
        return self.narrow(F.gelu(self.wide(x))).mean(1)


def grouped(width: int = 8) -> nn.Module:
    """Depthwise and grouped convolutions, group norm, PReLU, a transposed convolution."""
    return nn.Sequential(
        nn.Conv2d(1, width, 1), nn.PReLU(width),
        nn.Conv2d(width, width, 3, groups=width), nn.GroupNorm(2, width), nn.ReLU(),
        nn.Conv2d(width, width, 1, groups=2), nn.InstanceNorm2d(width, affine=True), nn.Tanh(),
        nn.ConvTranspose2d(width, width // 2, 2), nn.Flatten(), nn.Linear(width // 2 * 49, 3),
    )  # fmt: skip


class Tied(nn.Module):
    """Two names for one weight."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.encode = nn.Linear(8, width, bias=False)
        self.decode = nn.Linear(8, width, bias=False)
        self.decode.weight = self.encode.weight

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(torch.relu(self.encode(x)), self.decode.weight.T)


def mlp(width: int = 7) -> nn.Module:
    return nn.Sequential(
        nn.Linear(4, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(), nn.Linear(width, 3)
    )


Case = tuple[Callable[[], nn.Module], Callable[[], nn.Module], tuple[int, ...]]

CASES: dict[str, Case] = {
    "mlp": (mlp, lambda: mlp(3), (4,)),
    "residual": (Residual, lambda: Residual(4, 2), (1, 8, 8)),
    "attention": (Attention, lambda: Attention(4, 3), (5, 4)),
    "grouped": (grouped, lambda: grouped(4), (1, 8, 8)),
    "tied": (Tied, lambda: Tied(3), (8,)),
}


def trained(model: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """Statistics of batch norm that are not those of the start."""
    model.train()
    with torch.no_grad():
        model(torch.rand(16, *shape))
    return model.eval()
