"""Every mechanism of the table, by its name in a configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.data import Records
from sfumato.obfuscation import FitSettings, conditional, isotropic
from sfumato.obfuscation.cloak import CloakSettings, cloak
from sfumato.obfuscation.shredder import ShredderSettings, shredder
from sfumato.privacy import Mechanism
from sfumato.train import Recipe


def _same(x: Tensor) -> Tensor:
    return x


@dataclass(frozen=True)
class Approach:
    """A mechanism, and how its releases and clean records are shown to the trained network.

    Args:
        mechanism: makes the releases.
        view: clean records -> what the network sees of them.
        restore: releases -> what the network sees of them; needs no secret, so it costs nothing.
    """

    mechanism: Mechanism
    view: Callable[[Tensor], Tensor] = _same
    restore: Callable[[Tensor], Tensor] = _same


Build = Callable[..., Approach]


def build(name: str, clean: Records, model: nn.Module, seed: int, settings: Any) -> Approach:
    """The mechanism `name`, made from the clean part and its network alone."""
    return MECHANISMS[name](clean, model, seed, **settings)


def _isotropic(clean: Records, model: nn.Module, seed: int, *, sigma: float) -> Approach:
    return Approach(isotropic(clean.shape, sigma))


def _class_mean(clean: Records, model: nn.Module, seed: int, *, sigma: float) -> Approach:
    members = [clean.inputs[clean.labels == c] for c in range(clean.num_classes)]
    return Approach(
        sf.obfuscation.class_mean(torch.stack([member.mean(0) for member in members]), sigma)
    )


def _shaped(
    clean: Records, model: nn.Module, seed: int, *, scale: float, shrink: float = 0.3
) -> Approach:
    """Noise with the within-class covariance of the clean part: white noise on whitened records."""
    shape, values, axes = clean.shape, *_directions(clean)
    values = (1 - shrink) * values + shrink * values.mean()
    whiten = _linear(axes / values.sqrt().unsqueeze(1), shape)
    colour = _linear((axes * values.sqrt().unsqueeze(1)).T, shape)
    layer = isotropic(shape, scale).layer
    return Approach(sf.Obfuscator(layer, pre=whiten), restore=colour)


def _hidden(
    clean: Records, model: nn.Module, seed: int, *, directions: int, sigma: float
) -> Approach:
    """L takes out the directions in which records of a class differ most; then white noise."""
    axes = _directions(clean)[1][:directions]
    out = _linear(torch.eye(axes.shape[1]) - axes.T @ axes, clean.shape)
    return Approach(sf.Obfuscator(isotropic(clean.shape, sigma).layer, pre=out), view=out)


def _principal(
    clean: Records, model: nn.Module, seed: int, *, directions: int, sigma: float
) -> Approach:
    """L keeps the first directions alone, and white noise on these."""
    axes = _directions(clean)[1][:directions]
    into = nn.Sequential(nn.Flatten(), _matrix(axes))
    layer = isotropic((len(axes),), sigma).layer
    return Approach(sf.Obfuscator(layer, pre=into), restore=_linear(axes.T, clean.shape))


def _conditional(
    clean: Records,
    model: nn.Module,
    seed: int,
    *,
    objective: Any,
    knob: float,
    sigma: float,
    kernel_size: int = 3,
    **settings: Any,
) -> Approach:
    """The label-conditional convolution of spec 3, fitted from isotropic noise on."""
    made = conditional(clean.shape, clean.num_classes, sigma, kernel_size=kernel_size)
    sf.fit(
        made,
        model,
        clean,
        objective,
        knob,
        settings=_with_recipes(FitSettings, settings),
        seed=seed,
    )
    return Approach(made)


def _per_element(
    clean: Records,
    model: nn.Module,
    seed: int,
    *,
    objective: Any,
    knob: float,
    sigma: float,
) -> Approach:
    """Records with noise of a learned scale for every element, the same for every label."""
    made = isotropic(clean.shape, sigma)
    settings = FitSettings(location="identity")
    sf.fit(made, model, clean, objective, knob, settings=settings, seed=seed)
    return Approach(made)


def _per_direction(
    clean: Records,
    model: nn.Module,
    seed: int,
    *,
    objective: Any,
    knob: float,
    sigma: float,
) -> Approach:
    """As `_per_element`, with a scale for every direction in which records of a class differ.

    L turns the record into these directions, and whoever has the release may turn it back: the
    noise is correlated over the elements of the record.
    """
    axes = _directions(clean)[1]
    into, back = nn.Sequential(nn.Flatten(), _matrix(axes)), _linear(axes.T, clean.shape)
    made = sf.Obfuscator(isotropic((len(axes),), sigma).layer, pre=into)
    layers = FitSettings(location="identity")
    sf.fit(made, nn.Sequential(back, model), clean, objective, knob, settings=layers, seed=seed)
    return Approach(made, restore=back)


def _shredder(clean: Records, model: nn.Module, seed: int, **settings: Any) -> Approach:
    # It states no law; attackers then look at draws.
    made: Any = shredder(model, clean, _with_recipes(ShredderSettings, settings), seed=seed)
    return Approach(made)


def _cloak(clean: Records, model: nn.Module, seed: int, **settings: Any) -> Approach:
    return Approach(cloak(model, clean, _with_recipes(CloakSettings, settings), seed=seed))


MECHANISMS: dict[str, Build] = {
    "isotropic": _isotropic,
    "class-mean": _class_mean,
    "shaped": _shaped,
    "hidden": _hidden,
    "principal": _principal,
    "conditional": _conditional,
    "per-element": _per_element,
    "per-direction": _per_direction,
    "shredder": _shredder,
    "cloak": _cloak,
}


def _with_recipes(made: Callable[..., Any], settings: dict[str, Any]) -> Any:
    """Settings from a configuration: what is a mapping there is a recipe."""
    return made(**{k: Recipe(**v) if isinstance(v, dict) else v for k, v in settings.items()})


def _directions(clean: Records) -> tuple[Tensor, Tensor]:
    """Variances and directions of the clean records within their classes, the largest first."""
    flat = clean.inputs.flatten(1).double()
    means = torch.stack([flat[clean.labels == c].mean(0) for c in range(clean.num_classes)])
    centred = flat - means[clean.labels]
    values, axes = torch.linalg.eigh(centred.T @ centred / len(centred))
    return values.flip(0).clamp(min=0).float(), axes.T.flip(0).float()


def _matrix(weight: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False).requires_grad_(False)
    layer.weight.copy_(weight)
    return layer


def _linear(weight: Tensor, shape: tuple[int, ...]) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), _matrix(weight), nn.Unflatten(1, shape))
