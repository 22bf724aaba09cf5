"""One module for each class, and what can be told from its type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.nn.base import StochasticModule
from sfumato.nn.operator import ConvOperator, LinearOperator, Operator, conv_operator
from sfumato.nn.stochastic import (
    StochasticConv1d,
    StochasticConv2d,
    StochasticConv3d,
    StochasticLinear,
)
from sfumato.nn.svm.svm import StochasticSVM
from sfumato.nn.weights.any_module import Bayesian
from sfumato.nn.weights.linear import BayesianLinear
from sfumato.nn.wrapped import Stochastic

KERNELS = (StochasticLinear, StochasticConv1d, StochasticConv2d, StochasticConv3d)
POSITIONWISE = (nn.Linear, nn.Embedding, nn.LayerNorm, nn.Identity, nn.Dropout, nn.ReLU, nn.GELU)
POSITIONWISE += (nn.Tanh, nn.Sigmoid, nn.SiLU, StochasticLinear, StochasticSVM, BayesianLinear)


def copies(num_classes: int, make: Callable[[], nn.Module]) -> list[nn.Module]:
    """One module for each class.

    Raises:
        SettingError: they are no modules, share something, or have different laws.
    """
    if not callable(make) or isinstance(make, nn.Module):
        raise SettingError(
            "make is called once for each class: give a function such as "
            f"lambda: nn.Linear(8, 4), not {type(make).__name__}"
        )
    made, owners = [], {}
    for c in range(num_classes):
        module = make()
        if not isinstance(module, nn.Module):
            raise SettingError(f"make must give a torch.nn.Module, not {type(module).__name__}")
        for part in (module, *module.parameters()):
            if owners.setdefault(id(part), c) != c:
                raise SettingError(
                    "make gives the same module or parameter twice: every class needs its own, so "
                    "build the module inside of make"
                )
        made.append(module)
    first = made[0]
    for module in made[1:]:
        same = type(module) is type(first) and all(
            getattr(module, name, None) == getattr(first, name, None) for name in ("noise", "bound")
        )
        if isinstance(first, StochasticModule) and not same:
            raise SettingError(
                "make must give stochastic modules of one type, noise law and bound: their "
                "parameters are merged"
            )
    return made


def kernel_operator(modules: Sequence[nn.Module]) -> Operator | None:
    """How the kernels of the modules act, if all are plain or stochastic layers of one geometry.

    Only then may their kernels be taken without calling them; a module with hooks is called.
    """
    found = {_operator(module) for module in modules}
    biases = {getattr(module, "bias", None) is None for module in modules}
    return found.pop() if len(found) == len(biases) == 1 else None


def stacked(modules: Sequence[Any]) -> tuple[Tensor, Tensor | None]:
    """The weights of all modules, and their biases."""
    weight = torch.stack([module.weight for module in modules])
    if modules[0].bias is None:
        return weight, None
    return weight, torch.stack([module.bias for module in modules])


def _operator(module: Any) -> Operator | None:
    if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks:
        return None
    if type(module) is nn.Linear:
        return LinearOperator(module.in_features, module.out_features)
    if type(module) in (nn.Conv1d, nn.Conv2d, nn.Conv3d):
        return _convolution(
            module.in_channels, module.out_channels, module.kernel_size, module.stride,
            module.padding, module.dilation, module.groups, module.padding_mode,
        )  # fmt: skip
    return module.operator if type(module) in KERNELS else None


@cache
def _convolution(inputs: int, outputs: int, size: tuple[int, ...], *geometry: Any) -> ConvOperator:
    return conv_operator(len(size), inputs, outputs, size, *geometry)


def treats_steps_alone(module: nn.Module) -> bool:
    """Whether a module of this type treats every step by itself."""
    if isinstance(module, Bayesian):
        return treats_steps_alone(module.module)
    if isinstance(module, Stochastic):
        return module.axis == -1 and treats_steps_alone(module.network)
    if isinstance(module, nn.Sequential):
        return all(treats_steps_alone(part) for part in module)
    return isinstance(module, POSITIONWISE)
