"""Every mechanism of the table, by its name in a configuration."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import sfumato as sf
from experiments.tradeoff.setup import Standardised
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


def _shaped(clean: Records, model: nn.Module, seed: int, *, scale: float) -> Approach:
    return _turned(sf.obfuscation.shaped(clean, scale))


def _hidden(
    clean: Records, model: nn.Module, seed: int, *, directions: int, sigma: float
) -> Approach:
    return _turned(sf.obfuscation.hidden(clean, sigma, directions))


def _principal(
    clean: Records, model: nn.Module, seed: int, *, directions: int, sigma: float
) -> Approach:
    return _turned(sf.obfuscation.kept(clean, sigma, directions))


def _split(clean: Records, model: nn.Module, seed: int, *, sigma: float) -> Approach:
    """Noise behind the first convolution of the clean part's network, in units of its spread."""
    first = _first_layers(model).requires_grad_(False).eval()
    with torch.no_grad():
        features = first(clean.inputs)
    into = nn.Sequential(first, Scaled(float(features.std())))
    layer = isotropic(tuple(features.shape[1:]), sigma).layer
    return Approach(sf.Obfuscator(layer, pre=into), view=into)


def _first_layers(model: nn.Module) -> nn.Sequential:
    """x -> what comes out of the first pooling of `Standardised`."""
    assert isinstance(model, Standardised)
    network = copy.deepcopy(model.network)
    first = Scaled(float(model.std), float(model.mean))
    return nn.Sequential(first, *list(network.children())[:3])


class Scaled(nn.Module):
    """(x - m) / s."""

    def __init__(self, scale: float, offset: float = 0.0) -> None:
        super().__init__()
        self.scale, self.offset = scale, offset

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.offset) / self.scale


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
    made, layers = sf.obfuscation.turned(clean, sigma), FitSettings(location="identity")
    behind = nn.Sequential(made.restore, model)
    sf.fit(made.obfuscator, behind, clean, objective, knob, settings=layers, seed=seed)
    return _turned(made)


def _turned(made: sf.obfuscation.Turned) -> Approach:
    return Approach(made.obfuscator, made.view, made.restore)


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
    "split": _split,
    "conditional": _conditional,
    "per-element": _per_element,
    "per-direction": _per_direction,
    "shredder": _shredder,
    "cloak": _cloak,
}


def _with_recipes(made: Callable[..., Any], settings: dict[str, Any]) -> Any:
    """Settings from a configuration: what is a mapping there is a recipe."""
    return made(**{k: Recipe(**v) if isinstance(v, dict) else v for k, v in settings.items()})
