"""Which layers of a network are hidden, and which is its head."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from sfumato.errors import SettingError

KERNELS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def hidden_layers(model: nn.Module) -> tuple[str, ...]:
    """The names of all linear layers and convolutions but the last, in the order of definition.

    Args:
        model: its last linear layer or convolution, in the order in which `named_modules` lists
            them, gives the logits.

    Raises:
        SettingError: there are none, or one only.

    Example:
        >>> from sfumato.train import mlp
        >>> hidden_layers(mlp((1, 28, 28), 10))
        ('1', '3')
    """
    return tuple(kernel_names(model)[:-1])


def head_name(model: nn.Module) -> str:
    """The name of the last linear layer, which gives the logits.

    Raises:
        SettingError: the last layer with a kernel is not linear.
    """
    name = kernel_names(model)[-1]
    if not isinstance(model.get_submodule(name), nn.Linear):
        raise SettingError(f"the layer that gives the logits, {name!r}, is no nn.Linear")
    return name


def chosen_layers(model: nn.Module, layers: Sequence[str] | None) -> tuple[str, ...]:
    """`layers` where they are given and exist, else all hidden ones.

    Raises:
        SettingError: no layers, one that is not there, or one that is no plain kernel.
    """
    if layers is None:
        return hidden_layers(model)
    if isinstance(layers, str) or not layers:
        raise SettingError(f"layers are a list of names of linear layers, not {layers!r}")
    known = dict(model.named_modules())
    for name in layers:
        if not isinstance(known.get(name), KERNELS):
            raise SettingError(
                f"{name!r} is no linear layer or convolution of this network: it has "
                f"{', '.join(map(repr, kernel_names(model)))}"
            )
    return tuple(layers)


def kernel_names(model: nn.Module) -> list[str]:
    """The names of all plain linear layers and convolutions, at least two."""
    names = [name for name, module in model.named_modules() if isinstance(module, KERNELS)]
    if len(names) < 2:
        raise SettingError(
            "a network of at least two linear layers or convolutions is needed, one of them "
            f"hidden; this one has {len(names)}"
        )
    return names
