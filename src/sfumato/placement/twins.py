"""The stochastic and Bayesian twins of torch's own layers, and how one takes a layer's place."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized, type_before_parametrizations

from sfumato import nn as ours
from sfumato.nn.sequences.headed import HeadedLayer
from sfumato.placement.settings import Setting

KERNELS: dict[type[nn.Module], Any] = {
    nn.Linear: ours.StochasticLinear,
    nn.Conv1d: ours.StochasticConv1d,
    nn.Conv2d: ours.StochasticConv2d,
    nn.Conv3d: ours.StochasticConv3d,
}
HEADED: dict[type[nn.Module], Any] = {
    nn.LSTM: ours.StochasticLSTM,
    nn.GRU: ours.StochasticGRU,
    nn.TransformerEncoderLayer: ours.StochasticTransformerEncoderLayer,
}
STOCHASTIC = {**KERNELS, **HEADED}
BAYESIAN: dict[type[nn.Module], Any] = {
    nn.Linear: ours.BayesianLinear,
    nn.Conv1d: ours.BayesianConv1d,
    nn.Conv2d: ours.BayesianConv2d,
    nn.Conv3d: ours.BayesianConv3d,
}
STATE_HOOKS = (
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)
CALL_HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
)


def torch_type(module: nn.Module) -> type:
    """The class of a module, seen through parametrizations."""
    return type_before_parametrizations(module)


def beyond_a_kernel(module: nn.Module) -> str:
    """What a plain `nn.Linear` or `nn.ConvNd` has that a twin of one kernel could not take over.

    Returns:
        A predicate of the layer; empty where there is nothing.
    """
    if is_parametrized(module):
        names = ", ".join(module.parametrizations)  # type: ignore[arg-type]
        return f"has a parametrization, of {names}, that would be lost"
    if missing := {"weight", "bias"} - set(module._parameters):
        return f"computes its {missing.pop()} in a hook (weight norm, pruning) that would be lost"
    if more := sorted(set(module._parameters) - {"weight", "bias"}):
        return f"has more parameters than a plain layer: {', '.join(more)}"
    if "forward" in vars(module):
        return "has a forward of its own, put on the object, that would be lost"
    if any(vars(module)[name] for name in STATE_HOOKS):
        return "has hooks on its state dict, which are about the plain layer's keys"
    return ""


def has_bayesian_kernel(module: nn.Module) -> bool:
    """Whether `sfumato.nn` has a Bayesian layer for `module`; any other module is wrapped."""
    usual = all(p.is_floating_point() and 0 not in p.shape for p in module.parameters())
    return torch_type(module) in BAYESIAN and usual and not beyond_a_kernel(module)


def twin(module: nn.Module, setting: Setting) -> nn.Module:
    """The layer that takes the place of `module`, with all that stands on the old one.

    `module` is used, not copied: parameters that it shares with other layers stay shared.
    """
    if setting.kind == "bayesian" and not has_bayesian_kernel(module):
        wrapped = ours.bayesian(module, setting.noise, prior=setting.prior, scale=setting.scale)
        return _in_step(wrapped, module)
    hooks = {name: vars(module)[name] for name in CALL_HOOKS}
    hooks["_is_full_backward_hook"] = vars(module)["_is_full_backward_hook"]
    vars(module).update({name: OrderedDict() for name in CALL_HOOKS}, _is_full_backward_hook=None)
    made = (
        _stochastic(module, setting) if setting.kind == "stochastic" else _kernel(module, setting)
    )
    vars(made).update(hooks)
    for name, value in vars(module).items():
        # What models and users read from a layer: in_features, kernel_size, a tag of their own.
        if not name.startswith("_") and not hasattr(made, name):
            setattr(made, name, value)
    return _in_step(made, module)


def _stochastic(module: nn.Module, setting: Setting) -> nn.Module:
    kind = STOCHASTIC[torch_type(module)]
    made = kind.from_module(module, setting.noise, setting.bound, scale=setting.start)
    if isinstance(made, HeadedLayer):
        made.trunk = module
        return made
    _keep_layout(made, module)
    return _with_extras(made, module)


def _kernel(module: nn.Module, setting: Setting) -> nn.Module:
    made = BAYESIAN[type(module)].from_module(
        module, setting.noise, setting.prior, setting.estimator, scale=setting.scale
    )
    for name, parameter in module._parameters.items():
        made.register_parameter(name, parameter)
    return _with_extras(made, module)


def _with_extras(made: nn.Module, module: nn.Module) -> nn.Module:
    """Hand over the buffers and submodules that somebody put on the plain layer."""
    for name, buffer in module._buffers.items():
        made.register_buffer(name, buffer, name not in module._non_persistent_buffers_set)
    for name, child in module._modules.items():
        made.add_module(name, child)
    return made


def _in_step(made: nn.Module, module: nn.Module) -> nn.Module:
    """Give what is new in `made` the training flag of `module`; the others keep their own."""
    old = set(module.modules())
    for part in made.modules():
        if part not in old:
            part.training = module.training
    return made


def _keep_layout(made: Any, module: nn.Module) -> None:
    """Keep the memory format of a convolution that was brought to channels last."""
    weight: Any = module._parameters["weight"]
    layout = {4: torch.channels_last, 5: torch.channels_last_3d}.get(weight.dim())
    if layout and not weight.is_contiguous() and weight.is_contiguous(memory_format=layout):
        made.to(memory_format=layout)
