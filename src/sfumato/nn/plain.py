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


def add_missing(
    state: dict[str, Any], prefix: str, own: dict[str, Tensor], assign: bool = False
) -> None:
    """Let a plain layer's state dict be loaded: what only a layer of ours has keeps its value.

    Args:
        state: the state dict that is being loaded; changed in place.
        prefix: of the layer in it.
        own: the parameters that a plain layer lacks, by name.
        assign: whether the state dict's tensors become the layer's (`is_assigned`).

    Raises:
        RuntimeError: what is missing has no values of its own, on the meta device.
    """
    given = [value for name, value in state.items() if name.startswith(prefix)]
    if not given or any(prefix + name in state for name in own):
        return
    like = next((v for v in given if isinstance(v, Tensor) and v.is_floating_point()), None)
    for name, value in own.items():
        state[prefix + name] = value.detach() if like is None else kept(value, like, assign)


def kept(own: Tensor, like: Tensor, assign: bool) -> Tensor:
    """Values of a layer's own, to stand in a state dict beside `like`.

    They go to its device; where they are assigned, to its dtype as well. Copied, they come back
    into their own, and a narrow dtype on the way would cost them digits.

    Raises:
        RuntimeError: there are no values, on the meta device.
    """
    if own.is_meta and not like.is_meta:
        raise RuntimeError(
            "a plain layer's state dict has the location only, and the layer's other parameters "
            "are on the meta device, without values: materialise it first, by "
            "layer.to_empty(device=...) and layer.reset_parameters()"
        )
    values = own.detach()
    return values.to(like) if assign else values.to(like.device)


def is_assigned(local_metadata: dict[str, Any]) -> bool:
    """Whether `load_state_dict(assign=True)` is at work, from what torch hands its hooks."""
    return bool(local_metadata.get("assign_to_params_buffers", False))
