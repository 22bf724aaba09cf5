"""Layers that cannot be changed, each with what `sf.check` says of it."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrizations

import sfumato as sf
from tests.placement.models import Scaled

FUNCTION = "use 'bayesian' or a function that makes one"
AROUND = f"{FUNCTION} (sfumato.nn.Stochastic)"


class Sub(nn.Linear):
    """A Linear with something added."""

    def extra_repr(self) -> str:
        return "something"


class Whole(nn.Module):
    """A layer of whole numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.arange(3), requires_grad=False)


def quantised() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch moves quantisation to another package
        return torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(3, 3)))[0]


def scripted(module: nn.Module | None = None) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is on its way out
        return torch.jit.script(module or nn.Linear(3, 3))


def with_old_weight_norm() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the form that torch gives up
        layer = nn.utils.weight_norm(nn.Linear(3, 3))
    layer.weight = layer.weight.detach()
    return layer


def with_more(**more: Any) -> nn.Module:
    layer = nn.Linear(3, 3)
    for name, value in more.items():
        setattr(layer, name, value)
    return layer


def in_integers() -> nn.Module:
    layer = nn.Linear(3, 3, bias=False)
    layer.weight = nn.Parameter(torch.ones(3, 3, dtype=torch.int8), requires_grad=False)
    return layer


def with_state_hook() -> nn.Module:
    layer = nn.Linear(3, 3)
    layer.register_state_dict_post_hook(lambda *_: None)
    return layer


class Narrow(nn.Parameter):
    """A parameter of somebody else's making."""


STOCHASTIC: dict[str, tuple[Any, str]] = {
    "BatchNorm": (lambda: nn.BatchNorm1d(3), f"has no stochastic twin: {AROUND}"),
    "Embedding": (lambda: nn.Embedding(3, 3), f"has no stochastic twin: {AROUND}"),
    "LayerNorm": (lambda: nn.LayerNorm(3), f"has no stochastic twin: {AROUND}"),
    "ConvTranspose": (lambda: nn.ConvTranspose1d(3, 3, 1), f"has no stochastic twin: {AROUND}"),
    "attention": (lambda: nn.MultiheadAttention(4, 2), f"has no stochastic twin: {AROUND}"),
    "RNN": (lambda: nn.RNN(3, 3), f"has no stochastic twin: {AROUND}"),
    "LSTMCell": (lambda: nn.LSTMCell(3, 3), f"has no stochastic twin: {AROUND}"),
    "own": (lambda: Scaled(3), f"has no stochastic twin: {AROUND}"),
    "container": (
        lambda: nn.Sequential(nn.Linear(3, 3)),
        'is a container, not a layer: name the layers in it, "x.*"',
    ),
    "list": (
        lambda: nn.ModuleList([nn.Linear(3, 3)]),
        'is a list without a forward: name what it holds, "x.*", or the module that uses it',
    ),
    "subclass": (
        lambda: Sub(3, 3),
        f"is a Linear with something added, which would be lost: {FUNCTION}",
    ),
    "lazy": (
        lambda: nn.LazyLinear(3),
        "has parameters that are not made yet: run the model on a record first",
    ),
    "lazy inside": (
        lambda: nn.LazyConv2d(3, 3),
        "has parameters that are not made yet: run the model on a record first",
    ),
    "empty": (lambda: nn.ReLU(), "has no parameters: leave it out"),
    "parametrized": (
        lambda: parametrizations.spectral_norm(nn.Linear(3, 3)),
        f"has a parametrization, of weight, that would be lost: remove it first, or {FUNCTION}",
    ),
    "weight norm by hook": (
        with_old_weight_norm,
        "computes its weight in a hook (weight norm, pruning) that would be lost: "
        f"remove it first, or {FUNCTION}",
    ),
    "size": (
        lambda: with_more(weight=nn.Parameter(torch.ones(3, 0))),
        "has a weight without values, [3, 0]: replace it first",
    ),
    "more parameters": (
        lambda: with_more(factor=nn.Parameter(torch.ones(()))),
        f"has more parameters than a plain layer: factor: remove it first, or {FUNCTION}",
    ),
    "forward": (
        lambda: with_more(forward=lambda x: x),
        "has a forward of its own, put on the object, that would be lost: "
        f"remove it first, or {FUNCTION}",
    ),
    "state hook": (
        with_state_hook,
        "has hooks on its state dict, which are about the plain layer's keys: "
        f"remove it first, or {FUNCTION}",
    ),
    "integers": (
        in_integers,
        "has a weight of torch.int8, not of real numbers: convert the model before it is quantised",
    ),
    "quantised": (quantised, "has quantised weights: convert the model before it is quantised"),
    "odd parameter": (
        lambda: with_more(weight=Narrow(torch.ones(3, 3))),
        "has a weight of the class Narrow, not a plain parameter: "
        "convert the model before its weights are exchanged",
    ),
    "scripted": (scripted, "is compiled by torch.jit and cannot be changed: convert first"),
    "ours": (
        lambda: sf.nn.StochasticLinear(3, 3),
        "is one of sfumato's layers already: leave it out",
    ),
}
BAYESIAN: dict[str, tuple[Any, str]] = {
    **{
        name: STOCHASTIC[name]
        for name in ("list", "lazy", "empty", "quantised", "odd parameter", "scripted", "ours")
    },
    "whole numbers": (
        Whole,
        "has no parameters of real numbers that could be drawn: "
        "convert the model before it is quantised",
    ),
    "Bayesian inside": (
        lambda: nn.Sequential(nn.Linear(3, 3), sf.nn.BayesianLinear(3, 3)),
        "holds Bayesian layers already: name the other layers in it instead",
    ),
    "no values": (
        lambda: nn.LayerNorm(3, device="meta"),
        "has no values yet (meta device) from which its scales could start: load its weights first",
    ),
}
