"""The part of a network before its first draw, which all draws share."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

# Layers of torch that draw nothing in evaluation and keep records apart.
_FIXED: tuple[type[nn.Module], ...] = (
    nn.Flatten, nn.Unflatten, nn.Identity,
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d,
    nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.Hardtanh,
    nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool2d,
    nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm,
)  # fmt: skip


def split(model: nn.Module) -> tuple[nn.Module | None, nn.Module]:
    """The fixed beginning of an `nn.Sequential` and the rest; (None, model) where there is none.

    Only layers of torch that are known to draw nothing count, and none with a hook, so that
    `rest(first(x))` is what `model(x)` is.
    """
    if type(model) is not nn.Sequential or _hooked(model):
        return None, model
    layers = list(_layers(model))
    fixed = 0
    while fixed < len(layers) and _is_fixed(layers[fixed]):
        fixed += 1
    # all fixed: then the noise, if any, is not where we think it is
    if fixed in (0, len(layers)):
        return None, model
    return nn.Sequential(*layers[:fixed]), nn.Sequential(*layers[fixed:])


def _layers(model: nn.Module) -> Iterator[nn.Module]:
    for layer in model.children():
        if type(layer) is nn.Sequential and not _hooked(layer):
            yield from _layers(layer)
        else:
            yield layer


def _is_fixed(layer: nn.Module) -> bool:
    training_norm = layer.training and isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d))
    return type(layer) in _FIXED and not _hooked(layer) and not training_norm


def _hooked(layer: nn.Module) -> bool:
    hooks = layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks
    return bool(hooks or layer._backward_pre_hooks or "forward" in vars(layer))
