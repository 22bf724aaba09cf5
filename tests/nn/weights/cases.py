"""Bayesian layers of every kind, small, with an input each."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import sfumato as sf

ESTIMATORS = ["reparameterization", "local", "flipout"]


def kernels(**more: Any) -> dict[str, tuple[Any, Tensor]]:
    """One Bayesian layer of every class, with an input."""
    return {
        "BayesianLinear": (sf.nn.BayesianLinear(5, 3, **more), torch.randn(4, 5)),
        "BayesianConv1d": (sf.nn.BayesianConv1d(2, 3, 3, **more), torch.randn(4, 2, 6)),
        "BayesianConv2d": (
            sf.nn.BayesianConv2d(2, 4, 3, padding=1, groups=2, **more),
            torch.randn(4, 2, 5, 5),
        ),
        "BayesianConv3d": (sf.nn.BayesianConv3d(2, 3, 2, **more), torch.randn(4, 2, 3, 4, 3)),
    }


KERNELS = list(kernels())


def modules() -> dict[str, tuple[nn.Module, tuple[Any, ...]]]:
    """Modules of torch that `bayesian` wraps, with the arguments of a call."""
    x, tokens = torch.randn(7, 4, 6), torch.randint(9, (4, 7))
    return {
        "LSTM": (nn.LSTM(6, 5, num_layers=2, bidirectional=True), (x,)),
        "LSTM with projection": (nn.LSTM(6, 5, proj_size=3, batch_first=True), (x,)),
        "GRU": (nn.GRU(6, 5, num_layers=2, bidirectional=True), (x,)),
        "MultiheadAttention": (nn.MultiheadAttention(6, 2), (x, x, x)),
        "TransformerEncoderLayer": (nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0), (x,)),
        "TransformerEncoder": (
            nn.TransformerEncoder(
                nn.TransformerEncoderLayer(6, 2, 8, dropout=0.0), 2, enable_nested_tensor=False
            ),
            (x,),
        ),
        "ConvTranspose2d": (
            nn.ConvTranspose2d(2, 3, 3, stride=2, output_padding=1),
            (torch.randn(4, 2, 5, 5),),
        ),
        "Embedding": (nn.Embedding(9, 5), (tokens,)),
        "LayerNorm": (nn.LayerNorm(6), (x,)),
        "Sequential": (nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 2)), (x,)),
    }


MODULES = list(modules())


def first(output: Any) -> Tensor:
    """The tensor that an output starts with."""
    return output if isinstance(output, Tensor) else first(output[0])
