"""The plain network that a network with stochastic layers is on its mean path."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from sfumato.compression.kernels import STOCHASTIC, TWINS, Stochastic, blocks, is_unknown_sampler
from sfumato.errors import SettingError
from sfumato.nn.operator import ConvOperator
from sfumato.noise import LocationScale

_PLAIN = {noisy: plain for plain, noisy in TWINS.items()}


def collapse(model: nn.Module) -> nn.Module:
    """A copy without noise: each stochastic layer becomes the plain layer of its mean path.

    The copy is the plain network: torch's own layers, the function that
    `sfumato.sampling(model, "mean")` gives bit by bit, and no cost beyond it (spec 4 §4.1,
    "Testing"). Only a stochastic convolution with groups and a bias is one rounding away: it adds
    its bias to the rounded sum, torch's to the sum itself, so that they differ by at most two units
    in the last place of the larger of sum and result.

    Args:
        model: a network with `StochasticLinear` or `StochasticConv1d/2d/3d` layers, or without.

    Returns:
        The copy; `model` is left as it is.

    Raises:
        SettingError: a layer whose mean path is no plain layer: with a bound, with a law whose
            mean is not its location, or of another kind.

    Example:
        >>> import torch, sfumato as sf
        >>> model = torch.nn.Sequential(sf.nn.StochasticLinear(3, 2), torch.nn.ReLU())
        >>> collapse(model)
        Sequential(
          (0): Linear(in_features=3, out_features=2, bias=True)
          (1): ReLU()
        )
    """
    made: dict[nn.Module, nn.Module] = {}
    for name, module in model.named_modules():
        if isinstance(module, STOCHASTIC):
            made[module] = _plain(module, name)
        elif is_unknown_sampler(module):
            raise SettingError(
                f"{name or 'the model'} is a {type(module).__name__}, whose mean path is no plain "
                "layer: only StochasticLinear and StochasticConv1d/2d/3d collapse"
            )
    # deepcopy takes what is in the memo for the copy of a module
    return copy.deepcopy(model, {id(old): new for old, new in made.items()})


def _plain(layer: Stochastic, name: str) -> nn.Module:
    if layer.bound is not None or not isinstance(layer.noise, LocationScale):
        reason = "clamps its location" if layer.bound is not None else f"draws by {layer.noise}"
        raise SettingError(
            f"{name or 'the model'} {reason}, so that its mean path is no plain layer"
        )
    arguments: dict[str, Any] = dict(layer.operator.config())
    if isinstance(layer.operator, ConvOperator) and isinstance(arguments["padding"], list):
        arguments["padding"] = tuple(arguments["padding"])
    for key in ("kernel_size", "stride", "dilation"):
        if key in arguments:
            arguments[key] = tuple(arguments[key])
    given = {"device": layer.weight.device, "dtype": layer.weight.dtype}
    plain: Any = torch.nn.utils.skip_init(
        _PLAIN[type(layer)], **arguments, bias=layer.bias is not None, **given
    )
    with torch.no_grad():
        for own, values in ((plain.weight, layer.weight), (plain.bias, layer.bias)):
            if own is not None and values is not None:
                own.copy_(blocks(layer, values)[0])
                own.requires_grad_(values.requires_grad)
    return plain.train(layer.training)
