"""Why a layer cannot become what a spec asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import ParametrizationList, is_parametrized

from sfumato.nn.base import SamplingModule
from sfumato.nn.weights.base import BayesianModule
from sfumato.placement.twins import (
    HEADED,
    KERNELS,
    STOCHASTIC,
    beyond_a_kernel,
    has_bayesian_kernel,
    torch_type,
)

# Their forward reads the weights of the layers inside them, past those layers' own forward.
COMPOSITES = (nn.TransformerEncoderLayer, nn.MultiheadAttention, nn.RNNBase, nn.RNNCellBase)
LISTS = (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)
OR_A_FUNCTION = "use 'bayesian' or a function that makes one"


@final
@dataclass(frozen=True)
class Obstacle:
    """A reason, as the layer's predicate, and a remedy.

    `hard`: a pattern that picks the layer is in the wrong, not only a key that names it.
    """

    reason: str
    remedy: str
    hard: bool = True


def is_ours(module: nn.Module) -> bool:
    """Whether the module is one of `sfumato.nn`."""
    home = type(module).__module__
    return isinstance(module, SamplingModule) or home.startswith("sfumato.nn.")


def is_whole(module: nn.Module) -> bool:
    """Whether nothing inside the module may be exchanged."""
    closed = (*COMPOSITES, ParametrizationList, torch.jit.ScriptModule)
    return isinstance(module, closed) or is_ours(module) or is_quantised(module)


def is_quantised(module: nn.Module) -> bool:
    """Whether the module is one of torch's quantised layers."""
    home = type(module).__module__
    return home.startswith("torch.") and "quantized" in home


def own_parameters(module: nn.Module) -> list[str]:
    """The names of parameters that are not those of a layer inside `module`."""
    names = [name for name, value in module._parameters.items() if value is not None]
    if is_parametrized(module):
        names += list(module.parametrizations)  # type: ignore[arg-type]
    return names


def layers_inside(module: nn.Module) -> list[nn.Module]:
    """The children of `module` that have parameters; a parametrization is no child."""
    return [
        child
        for name, child in module.named_children()
        if next(child.parameters(), None) is not None
        and not (name == "parametrizations" and is_parametrized(module))
    ]


def is_candidate(module: nn.Module, kind: str) -> bool:
    """Whether a pattern picks `module`: the largest layer that is one thing, never a container."""
    if kind == "none":
        return True
    if kind == "stochastic":
        return isinstance(module, tuple(STOCHASTIC)) or is_quantised(module)
    if isinstance(module, COMPOSITES) or is_quantised(module):
        return True
    own = own_parameters(module) and not isinstance(module, LISTS)
    return bool(own) and not layers_inside(module) and not is_ours(module)


def obstacle(name: str, module: nn.Module, kind: str) -> Obstacle | None:
    """What stands in the way of making `module`, called `name`, of that kind."""
    common = _common(module, kind)
    if common is not None or kind in ("function", "none"):
        return common
    inside = f'"{name}.*"' if name else '"*"'
    if isinstance(module, LISTS):
        held = f"what it holds, {inside}, or " if any(module.children()) else ""
        return Obstacle("is a list without a forward", f"name {held}the module that uses it", False)
    if next(module.parameters(), None) is None:
        return Obstacle("has no parameters", "leave it out", False)
    if kind == "bayesian":
        return _not_bayesian(module)
    return _not_stochastic(module, inside) or _odd_values(module) or _odd_numbers(module)


def _common(module: nn.Module, kind: str) -> Obstacle | None:
    if isinstance(module, torch.jit.ScriptModule):
        return Obstacle("is compiled by torch.jit and cannot be changed", "convert first")
    if kind in ("function", "none"):
        return None
    if is_ours(module):
        return Obstacle("is one of sfumato's layers already", "leave it out", False)
    if is_quantised(module):
        return Obstacle("has quantised weights", "convert the model before it is quantised")
    if any(is_lazy(parameter) for parameter in module.parameters()):
        return Obstacle("has parameters that are not made yet", "run the model on a record first")
    return None


def _not_bayesian(module: nn.Module) -> Obstacle | None:
    if any(isinstance(part, BayesianModule) for part in module.modules()):
        return Obstacle("holds Bayesian layers already", "name the other layers in it instead")
    if not any(parameter.is_floating_point() for parameter in module.parameters()):
        text = "has no parameters of real numbers that could be drawn"
        return Obstacle(text, "convert the model before it is quantised")
    if any(p.is_meta for p in module.parameters()) and not has_bayesian_kernel(module):
        text = "has no values yet (meta device) from which its scales could start"
        return Obstacle(text, "load its weights first")
    return _odd_values(module)


def _not_stochastic(module: nn.Module, inside: str) -> Obstacle | None:
    kind = torch_type(module)
    if kind in KERNELS:
        beyond = beyond_a_kernel(module)
        return Obstacle(beyond, f"remove it first, or {OR_A_FUNCTION}") if beyond else None
    if kind in HEADED:
        return _computed(module)
    if isinstance(module, tuple(STOCHASTIC)):
        plain = next(base.__name__ for base in STOCHASTIC if isinstance(module, base))
        text = f"is a {plain} with something added, which would be lost"
        return Obstacle(text, OR_A_FUNCTION)
    if not own_parameters(module) and not is_whole(module):
        return Obstacle("is a container, not a layer", f"name the layers in it, {inside}", False)
    return Obstacle("has no stochastic twin", f"{OR_A_FUNCTION} (sfumato.nn.Stochastic)", False)


def _computed(module: nn.Module) -> Obstacle | None:
    """A recurrent layer whose weights a hook computes: the hook knows the plain layer only."""
    names = getattr(module, "_flat_weights_names", [])
    missing = [name for name in names if name not in module._parameters]
    if not missing or is_parametrized(module):
        return None
    return Obstacle(f"computes its {missing[0]} in a hook (weight norm)", "remove the hook first")


def _odd_values(module: nn.Module) -> Obstacle | None:
    for name, parameter in module.named_parameters():
        if type(parameter) is not nn.Parameter:
            text = f"has a {name} of the class {type(parameter).__name__}, not a plain parameter"
            return Obstacle(text, "convert the model before its weights are exchanged")
    return None


def _odd_numbers(module: nn.Module) -> Obstacle | None:
    for name, parameter in module.named_parameters():
        if 0 in parameter.shape:
            return Obstacle(
                f"has a {name} without values, {list(parameter.shape)}", "replace it first"
            )
        if not parameter.is_floating_point():
            text = f"has a {name} of {parameter.dtype}, not of real numbers"
            return Obstacle(text, "convert the model before it is quantised")
    return None
