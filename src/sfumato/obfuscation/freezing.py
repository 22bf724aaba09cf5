"""What a fit holds fixed: the model, the location of the noise, or its scale."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Literal, TypeAlias

from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.nn import AdditiveNoise, ConditionalAdditiveNoise
from sfumato.nn.kernels import KernelLayer
from sfumato.obfuscation.obfuscator import Obfuscator

Block: TypeAlias = Literal["location", "scale"]


@contextmanager
def frozen(*modules: nn.Module) -> Iterator[None]:
    """No gradients for the modules' weights, and evaluation mode; both restored afterwards."""
    required = [(p, p.requires_grad) for module in modules for p in module.parameters()]
    training = [(part, part.training) for module in modules for part in module.modules()]
    for module in modules:
        module.requires_grad_(False).eval()
    try:
        yield
    finally:
        for part, mode in training:
            part.training = mode
        for parameter, before in required:
            parameter.requires_grad_(before)


@contextmanager
def fixed(obfuscator: Obfuscator, *blocks: Block) -> Iterator[None]:
    """Keep blocks of the fused kernel as they are: Adam leaves what has no gradient.

    With the location, what comes before the layer is frozen too: it moves the location.

    Raises:
        SettingError: the layer has no fused kernel, so that nobody can tell its blocks apart.
    """
    layer = obfuscator.layer
    if blocks and not separable(layer):
        raise SettingError(
            f"the {' and the '.join(blocks)} of a {type(layer).__name__} cannot be kept while the "
            "rest is fitted: use a layer with one fused kernel, such as sfumato.nn.AdditiveNoise "
            "or a (conditional) linear or convolutional one"
        )
    with ExitStack() as stack:
        for block in blocks:
            hook = partial(_without, layer, block)
            for parameter in (p for p in layer.parameters() if p.requires_grad):
                stack.callback(parameter.register_hook(hook).remove)
        if "location" in blocks:
            stack.enter_context(frozen(obfuscator.pre))
        yield


def separable(layer: nn.Module) -> bool:
    """Whether every parameter of the layer has its blocks, location first, on a known axis."""
    return isinstance(layer, (KernelLayer, AdditiveNoise, ConditionalAdditiveNoise))


def _without(layer: nn.Module, block: Block, gradient: Tensor) -> Tensor:
    gradient = gradient.clone()
    axis = 0 if getattr(layer, "num_classes", None) is None else 1
    width = layer.operator.outputs if isinstance(layer, KernelLayer) else 1
    start, length = (0, width) if block == "location" else (width, gradient.shape[axis] - width)
    gradient.narrow(axis, start, length).zero_()
    return gradient
