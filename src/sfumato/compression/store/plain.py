"""What can be stored: a plain network, whose function is fixed."""

from __future__ import annotations

import torch
from torch import nn

from sfumato.errors import DataError, SettingError
from sfumato.nn.base import SamplingModule


def check_plain(model: nn.Module, purpose: str) -> None:
    """Raise unless `model` is a network without noise whose every value is a number.

    Args:
        model: what is to be stored.
        purpose: what it is needed for, as the message says it.

    Raises:
        SettingError: it is no module, has layers that sample, or is lazy.
        DataError: a parameter or a buffer is NaN or infinite.
    """
    if not isinstance(model, nn.Module):
        raise SettingError(f"{purpose} takes a network (nn.Module), not {type(model).__name__}")
    noisy = [name for name, part in model.named_modules() if isinstance(part, SamplingModule)]
    if noisy:
        raise SettingError(
            f"{purpose} takes a plain network, and this one samples in "
            f"{', '.join(name or type(model).__name__ for name in noisy[:3])}: turn it into its "
            "mean path with sfumato.compression.collapse first"
        )
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if isinstance(tensor, nn.UninitializedParameter | nn.UninitializedBuffer):
            raise SettingError(f"{name} has no size yet: call the network once, then try again")
        there = tensor.is_floating_point() and not tensor.is_meta
        if there and not bool(torch.isfinite(tensor).all()):
            raise DataError(f"{name} has values that are NaN or infinite: the network is broken")
