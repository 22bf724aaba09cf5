"""Layers of every kind and geometry, small enough for loops in Python."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

import sfumato as sf
from sfumato.noise import Gaussian, Laplace, NoiseLaw

CLASSES = 3
BATCH = 4
STOCHASTIC = {
    1: sf.nn.StochasticConv1d,
    2: sf.nn.StochasticConv2d,
    3: sf.nn.StochasticConv3d,
}
CONDITIONAL = {
    1: sf.nn.ConditionalConv1d,
    2: sf.nn.ConditionalConv2d,
    3: sf.nn.ConditionalConv3d,
}
LAWS: dict[str, NoiseLaw] = {"gaussian": Gaussian(0.1), "laplace": Laplace(0.1)}


@dataclass(frozen=True)
class Conv:
    """The sizes and geometry of a convolution."""

    size: tuple[int, ...]
    inputs: int = 2
    outputs: int = 2
    kernel: Any = 3
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As pytest shows it."""
        rest = ",".join(f"{key}={value}" for key, value in self.more.items())
        return f"{len(self.size)}d-{self.inputs}-{self.outputs}-k{self.kernel}-{rest}"

    def stochastic(self, **more: Any) -> Any:
        """The stochastic layer, in float64."""
        make = STOCHASTIC[len(self.size)]
        settings = {"dtype": torch.float64, **self.more, **more}
        return make(self.inputs, self.outputs, self.kernel, **settings)

    def conditional(self, classes: int = CLASSES, **more: Any) -> Any:
        """The conditional layer, in float64."""
        make = CONDITIONAL[len(self.size)]
        settings = {"dtype": torch.float64, **self.more, **more}
        return make(classes, self.inputs, self.outputs, self.kernel, **settings)

    def records(self, batch: int = BATCH, dtype: torch.dtype = torch.float64) -> Tensor:
        """A batch of inputs."""
        return torch.randn(batch, self.inputs, *self.size, dtype=dtype)


CONVS = [
    Conv((6,)),
    Conv((7,), more={"stride": 2, "padding": 1, "bias": False}),
    Conv((8,), kernel=2, more={"padding": "same", "padding_mode": "circular", "dilation": 2}),
    Conv((5,), 4, 6, 3, {"groups": 2, "padding": 1}),
    Conv((5, 4)),
    Conv((5, 4), more={"padding": 1, "bias": False}),
    Conv((5, 6), kernel=(3, 2), more={"stride": (2, 1), "padding": (1, 0)}),
    Conv((4, 5), more={"padding": "same"}),
    Conv((4, 5), more={"padding": "valid", "padding_mode": "reflect"}),
    Conv((6, 5), kernel=2, more={"dilation": (2, 1), "padding": 1}),
    Conv((4, 4), 4, 2, 3, {"groups": 2, "padding": 1}),
    Conv((4, 4), 2, 4, 1, {"groups": 2, "bias": False}),
    Conv((4, 4), 2, 2, 3, {"groups": 2, "padding": 1, "padding_mode": "reflect"}),
    Conv((4, 4), more={"padding": 1, "padding_mode": "replicate"}),
    Conv((4, 4), more={"padding": (1, 2), "padding_mode": "circular", "stride": 2}),
    Conv((3, 4, 3), 1, 2, 2),
    Conv((3, 3, 3), 2, 2, 2, {"groups": 2, "stride": 2, "padding": 1}),
]
convs = {conv.name: conv for conv in CONVS}
GROUPED = Conv((4, 4), 4, 2, 3, {"groups": 2, "padding": 1})
PLAIN = Conv((4, 4), 3, 2, 3, {"padding": 1})


def labels(batch: int = BATCH, classes: int = CLASSES) -> Tensor:
    """Every class in turn, out of order."""
    return (2 * torch.arange(batch) + 1) % classes


def every_layer() -> dict[str, tuple[Any, tuple[Tensor, ...]]]:
    """One layer of every class in float32, with the arguments of a call; selections are hard."""
    vectors, series = torch.randn(BATCH, 5), torch.randn(BATCH, 2, 6)
    pictures, volumes = torch.randn(BATCH, 2, 5, 5), torch.randn(BATCH, 2, 3, 4, 3)
    c, n = labels(), CLASSES
    return {
        "StochasticLinear": (sf.nn.StochasticLinear(5, 3), (vectors,)),
        "StochasticConv1d": (sf.nn.StochasticConv1d(2, 3, 3), (series,)),
        "StochasticConv2d": (sf.nn.StochasticConv2d(2, 3, 3, padding=1), (pictures,)),
        "StochasticConv3d": (sf.nn.StochasticConv3d(2, 3, 2), (volumes,)),
        "AdditiveNoise": (sf.nn.AdditiveNoise((2, 5, 5)), (pictures,)),
        "ConditionalLinear": (sf.nn.ConditionalLinear(n, 5, 3), (vectors, c)),
        "ConditionalConv1d": (sf.nn.ConditionalConv1d(n, 2, 3, 3), (series, c)),
        "ConditionalConv2d": (sf.nn.ConditionalConv2d(n, 2, 3, 3, padding=1), (pictures, c)),
        "ConditionalConv3d": (sf.nn.ConditionalConv3d(n, 2, 3, 2), (volumes, c)),
        "ConditionalAdditiveNoise": (
            sf.nn.ConditionalAdditiveNoise(n, (2, 5, 5)),
            (pictures, c),
        ),
    }


KINDS = ["Linear", "Conv1d", "Conv2d", "Conv3d"]
CONDITIONAL_NAMES = [f"Conditional{kind}" for kind in [*KINDS, "AdditiveNoise"]]
NAMES = [f"Stochastic{kind}" for kind in KINDS] + ["AdditiveNoise", *CONDITIONAL_NAMES]

# Layers around a network of torch's have tests of their own.
ELSEWHERE = {
    "Stochastic",
    "StochasticLSTM",
    "StochasticGRU",
    "StochasticTransformerEncoderLayer",
    "StochasticSVM",
    "Conditional",
}


def a_layer(name: str) -> tuple[Any, tuple[Tensor, ...]]:
    """The layer called `name`, weights away from zero, and the arguments of a call."""
    layer, arguments = every_layer()[name]
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(std=0.5)
    return layer, arguments
