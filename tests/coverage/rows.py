"""Every layer under every law and selection: the rows of the coverage table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

import sfumato as sf
from sfumato.noise import Binomial, Gaussian, Laplace, Multinomial, NoiseLaw

C, B = 3, 4
LAWS: dict[str, NoiseLaw] = {
    "Gaussian": Gaussian(),
    "Laplace": Laplace(),
    "Binomial": Binomial(5),
    "Multinomial": Multinomial(),
}
Make = Callable[[NoiseLaw], nn.Module]
Inputs = Callable[[], tuple[Any, ...]]


def vectors() -> tuple[Any, ...]:
    return (torch.randn(B, 6),)


def series() -> tuple[Any, ...]:
    return (torch.randn(B, 2, 7),)


def pictures() -> tuple[Any, ...]:
    return (torch.randn(B, 2, 5, 5),)


def volumes() -> tuple[Any, ...]:
    return (torch.randn(B, 2, 3, 4, 3),)


def sequences() -> tuple[Any, ...]:
    return (torch.randn(B, 5, 6),)


def tokens() -> tuple[Any, ...]:
    return (torch.randint(9, (B, 7)),)


def three_sequences() -> tuple[Any, ...]:
    return sequences() * 3


def _bayesian(make: Callable[[], nn.Module]) -> Make:
    return lambda law: sf.nn.bayesian(make(), noise=law)


def _encoder() -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(6, 2, 8, batch_first=True)


n = sf.nn
PLAIN: dict[str, tuple[Make, Inputs]] = {
    "StochasticLinear": (lambda law: n.StochasticLinear(6, 4, noise=law), vectors),
    "StochasticConv1d": (lambda law: n.StochasticConv1d(2, 4, 3, noise=law), series),
    "StochasticConv2d": (lambda law: n.StochasticConv2d(2, 4, 3, noise=law), pictures),
    "StochasticConv3d": (lambda law: n.StochasticConv3d(2, 4, 2, noise=law), volumes),
    "AdditiveNoise": (lambda law: n.AdditiveNoise((6,), noise=law), vectors),
    "Stochastic": (lambda law: n.Stochastic(nn.Linear(6, 8), noise=law, axis=-1), vectors),
    "StochasticLSTM": (lambda law: n.StochasticLSTM(6, 4, batch_first=True, noise=law), sequences),
    "StochasticGRU": (lambda law: n.StochasticGRU(6, 4, batch_first=True, noise=law), sequences),
    "StochasticTransformerEncoderLayer": (
        lambda law: n.StochasticTransformerEncoderLayer(6, 2, 8, batch_first=True, noise=law),
        sequences,
    ),
    "StochasticSVM, linear": (lambda law: n.StochasticSVM(6, 3, noise=law), vectors),
    "StochasticSVM, rbf": (
        lambda law: n.StochasticSVM(6, 3, "rbf", num_features=16, noise=law),
        vectors,
    ),
    "BayesianLinear": (lambda law: n.BayesianLinear(6, 4, noise=law), vectors),
    "BayesianConv1d": (lambda law: n.BayesianConv1d(2, 4, 3, noise=law), series),
    "BayesianConv2d": (lambda law: n.BayesianConv2d(2, 4, 3, noise=law), pictures),
    "BayesianConv3d": (lambda law: n.BayesianConv3d(2, 4, 2, noise=law), volumes),
    "bayesian(LSTM)": (_bayesian(lambda: nn.LSTM(6, 4, batch_first=True)), sequences),
    "bayesian(GRU)": (_bayesian(lambda: nn.GRU(6, 4, batch_first=True)), sequences),
    "bayesian(MultiheadAttention)": (
        _bayesian(lambda: nn.MultiheadAttention(6, 2, batch_first=True)),
        three_sequences,
    ),
    "bayesian(TransformerEncoderLayer)": (_bayesian(_encoder), sequences),
    "bayesian(ConvTranspose2d)": (_bayesian(lambda: nn.ConvTranspose2d(2, 4, 3)), pictures),
    "bayesian(Embedding)": (_bayesian(lambda: nn.Embedding(9, 4)), tokens),
    "bayesian(LayerNorm)": (_bayesian(lambda: nn.LayerNorm(6)), vectors),
    "BayesianSVM, linear": (lambda law: n.BayesianSVM(6, 3, noise=law), vectors),
    "BayesianSVM, rbf": (
        lambda law: n.BayesianSVM(6, 3, "rbf", num_features=16, noise=law),
        vectors,
    ),
}
OWN_CONDITIONAL: dict[str, tuple[Make, Inputs]] = {
    "ConditionalLinear": (lambda law: n.ConditionalLinear(C, 6, 4, noise=law), vectors),
    "ConditionalConv1d": (lambda law: n.ConditionalConv1d(C, 2, 4, 3, noise=law), series),
    "ConditionalConv2d": (lambda law: n.ConditionalConv2d(C, 2, 4, 3, noise=law), pictures),
    "ConditionalConv3d": (lambda law: n.ConditionalConv3d(C, 2, 4, 2, noise=law), volumes),
    "ConditionalAdditiveNoise": (
        lambda law: n.ConditionalAdditiveNoise(C, (6,), noise=law),
        vectors,
    ),
}


def _conditional(name: str) -> tuple[Make, Inputs]:
    make, inputs = PLAIN[name]
    return lambda law: n.Conditional(C, lambda: make(law)), inputs


CONDITIONAL = {
    **OWN_CONDITIONAL,
    **{f"Conditional({name})": _conditional(name) for name in PLAIN if name != "AdditiveNoise"},
}


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    layer: str
    law: str
    selection: str

    def make(self) -> nn.Module:
        """A fresh layer."""
        make, _ = (PLAIN if self.selection == "none" else CONDITIONAL)[self.layer]
        return make(LAWS[self.law])

    def arguments(self) -> tuple[Any, ...]:
        """The arguments of a call."""
        _, inputs = (PLAIN if self.selection == "none" else CONDITIONAL)[self.layer]
        if self.selection == "none":
            return inputs()
        first, *rest = inputs()
        hard = torch.tensor([2, 0, 2, 1])
        return first, hard if self.selection == "hard" else n.SoftSelection(C), *rest

    def __str__(self) -> str:
        return f"{self.layer}-{self.law}-{self.selection}"


ROWS = [Row(layer, law, "none") for layer in PLAIN for law in LAWS] + [
    Row(layer, law, selection)
    for layer in CONDITIONAL
    for law in LAWS
    for selection in ("hard", "soft")
]
