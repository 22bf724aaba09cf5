"""A stochastic layer that starts from a trained plain one."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from sfumato.errors import SettingError
from sfumato.nn.kernels import KernelLayer
from sfumato.nn.plain import plain_arguments
from sfumato.noise import LocationScale, raw_scale


def start_arguments(
    module: nn.Module, kind: type[nn.Module], scale: float | None
) -> dict[str, Any]:
    """The constructor arguments for a layer around `module`; a given scale needs a bias."""
    plain = plain_arguments(module, kind)
    return {**plain, "bias": plain["bias"] or scale is not None}


def take_over(layer: KernelLayer, module: nn.Module, scale: float | None) -> None:
    """Make the trained layer's kernel the location's, and the scale a constant if one is given.

    Raises:
        SettingError: the law has no location, or a scale is given for a law that has none.
    """
    law, outputs = layer.noise, layer.operator.outputs
    if not law.located:
        raise SettingError(
            f"{type(law).__name__} has no location that the trained layer could become: "
            "use a law that has, such as sfumato.noise.Gaussian"
        )
    if scale is not None and not isinstance(law, LocationScale):
        raise SettingError(f"{type(law).__name__} has no scale to start at: leave scale out")
    with torch.no_grad():
        for name in ("weight", "bias"):
            own, trained = getattr(layer, name), getattr(module, name)
            if own is None:
                continue
            own[:outputs] = 0.0 if trained is None else trained
            if trained is not None:
                own.requires_grad_(trained.requires_grad)
            if scale is not None and isinstance(law, LocationScale):
                own[outputs:] = raw_scale(scale, law.min_scale) if name == "bias" else 0.0
    layer.train(module.training)
