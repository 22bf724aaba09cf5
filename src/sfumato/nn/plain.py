"""Plain torch layers: their arguments, and taking over what they have learned."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from sfumato.errors import SettingError


def plain_arguments(module: nn.Module, kind: type[nn.Module]) -> dict[str, Any]:
    """The constructor arguments with which a layer of ours stands where `module` stands.

    Args:
        module: an `nn.Linear`, `nn.Conv1d`, `nn.Conv2d` or `nn.Conv3d`, already materialised.
        kind: the torch class that is expected.

    Raises:
        SettingError: it is of another class, or lazy.
    """
    weight: Any = getattr(module, "weight", None)
    if not isinstance(module, kind) or isinstance(weight, nn.UninitializedParameter):
        raise SettingError(
            f"expected a {kind.__name__} that has its weights, not {type(module).__name__}"
        )
    names = ("in_features", "out_features")
    if not isinstance(module, nn.Linear):
        names = ("in_channels", "out_channels", "kernel_size", "stride", "padding")
        names += ("dilation", "groups", "padding_mode")
    return {
        **{name: getattr(module, name) for name in names},
        "bias": module.bias is not None,
        "device": weight.device,
        "dtype": weight.dtype,
    }


def add_missing(state: dict[str, Any], prefix: str, own: dict[str, Tensor]) -> None:
    """Let a plain layer's state dict be loaded: what only a layer of ours has keeps its value.

    Args:
        state: the state dict that is being loaded; changed in place.
        prefix: of the layer in it.
        own: the parameters that a plain layer lacks, by name.
    """
    if not any(prefix + name in state for name in own):
        state.update({prefix + name: value.detach() for name, value in own.items()})
