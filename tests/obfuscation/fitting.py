"""A tiny fit, and what it changed."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.obfuscation import FitSettings
from sfumato.obfuscation.obfuscator import Obfuscator
from sfumato.train import Recipe, train_classifier
from tests.obfuscation import tiny

SHORT = Recipe(epochs=2, min_steps=1, batch_size=64, lr=2e-2)
SETTINGS = FitSettings(kernels=SHORT, selection=SHORT, shape=())


@cache
def trained() -> nn.Module:
    data = tiny.records()[0]
    model = tiny.linear(data.shape, data.num_classes)
    recipe = Recipe(epochs=10, min_steps=1, batch_size=32, lr=1e-2)
    train_classifier(model, data.inputs, data.labels, recipe, seed=0)
    return model


def start(sigma: float = 0.5, **kwargs: Any) -> Obfuscator:
    return sf.obfuscation.conditional((1, 8, 8), tiny.CLASSES, sigma, **kwargs)


def fitted(obfuscator: Obfuscator, *args: Any, **kwargs: Any) -> list[dict[str, Any]]:
    kwargs.setdefault("settings", SETTINGS)
    return sf.fit(obfuscator, trained(), tiny.records()[0], *args, **kwargs)


def state(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def changed(module: nn.Module, before: dict[str, Tensor]) -> bool:
    now = module.state_dict()
    return any(not torch.equal(now[name], value) for name, value in before.items())
