"""Small scenes on which an attack is tested: records of a known law, noise of a known strength."""

from __future__ import annotations

import math
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from sfumato.data.records import Records
from sfumato.nn.additive import ConditionalAdditiveNoise
from sfumato.noise import Gaussian
from sfumato.objectives.within import class_means
from sfumato.privacy.attacks.scene import Scene
from sfumato.train.seed import generator

CLASSES = 2


def toy_scene(
    shape: tuple[int, ...] = (1, 8, 8),
    sigma: float = 1.0,
    releases: int = 1,
    *,
    auxiliary: int = 400,
    attacked: int = 100,
    seed: int = 0,
) -> Scene:
    """A scene of two classes of smooth Gaussian records under isotropic Gaussian noise.

    Elements have a standard deviation of 1 within a class and neighbours are alike. The model is
    the nearest class mean, as a linear layer.

    Args:
        shape: of a record: `(F,)` or `(C, H, W)`.
        sigma: of the noise; with infinity the releases are noise of scale 1 and hold nothing.
        releases: K, how many releases of each record are averaged.
        auxiliary: the attacker's records.
        attacked: the records attacked.
        seed: of records, releases and attack.

    Example:
        >>> toy_scene((6,), sigma=0.5).seen.shape
        torch.Size([100, 6])
    """
    parts = [_records(shape, n, seed, what) for n, what in ((auxiliary, "known"), (attacked, ""))]
    means = class_means(parts[0].inputs, parts[0].labels, CLASSES)
    return Scene.of(
        ToyMechanism(shape, sigma),
        *parts,
        releases=releases,
        model=_nearest_mean(means),
        seed=seed,
    )


@final
class ToyMechanism(nn.Module):
    """x + σ ε; with σ = infinity ε alone."""

    def __init__(self, shape: tuple[int, ...], sigma: float) -> None:
        super().__init__()
        self.share = 0.0 if math.isinf(sigma) else 1.0
        scale = sigma if math.isfinite(sigma) else 1.0
        self.layer = ConditionalAdditiveNoise(CLASSES, shape, Gaussian(min_scale=0.5 * scale))
        with torch.no_grad():  # softplus(raw) + min_scale = scale
            self.layer.weight[:, 1] = math.log(math.expm1(0.5 * scale))

    @torch.no_grad()
    def release(self, x: Tensor, labels: Tensor) -> Tensor:
        """One fresh release of each record."""
        return self.layer(self.share * x, labels)

    def distribution(self, x: Tensor, selection: Any) -> Distribution:
        """The law of the release."""
        return self.layer.distribution(self.share * x, selection)


def _records(shape: tuple[int, ...], count: int, seed: int, what: str) -> Records:
    order = generator(seed, "toy", what)
    noise = torch.randn(count, *shape, generator=order)
    within = _smooth(noise) if shape[-1] > 2 else noise
    labels = torch.arange(count) % CLASSES
    template = torch.randn(shape, generator=generator(seed, "toy", "template"))
    inputs = within + (2.0 * labels.float() - 1).reshape(-1, *[1] * len(shape)) * template
    return Records(inputs, labels, tuple(str(c) for c in range(CLASSES)), "toy")


def _smooth(noise: Tensor) -> Tensor:
    """White noise averaged over neighbours twice, back at a standard deviation of 1."""
    for _ in range(2):
        for axis in range(min(2, noise.dim() - 1), noise.dim()):
            noise = (noise + noise.roll(1, axis) + noise.roll(-1, axis)) / 3
    return noise / noise.std()


def _nearest_mean(means: Tensor) -> nn.Module:
    flat = means.flatten(1)
    layer = nn.Linear(flat.shape[1], len(flat))
    with torch.no_grad():
        layer.weight.copy_(flat)
        layer.bias.copy_(-flat.square().sum(1) / 2)
    return nn.Sequential(nn.Flatten(), layer)
