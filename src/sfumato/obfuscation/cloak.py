"""Cloak, a baseline: a learned scale for every feature, and constants for those not needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.data.records import Records, check_batch
from sfumato.errors import SettingError
from sfumato.nn import AdditiveNoise
from sfumato.noise import Gaussian
from sfumato.obfuscation.descent import Loss, descend
from sfumato.obfuscation.freezing import frozen
from sfumato.obfuscation.obfuscator import Obfuscator
from sfumato.train import Progress, Recipe, silent


@final
@dataclass(frozen=True)
class CloakSettings:
    """How scales and constants are learned (Mireshghallah et al., WWW 2021).

    Args:
        knob: λ in the loss: cross-entropy - λ log(mean scale).
        scales: the smallest and the largest scale there can be, in units of the record.
        suppress: the share of the features, those with the largest scales, that are replaced by
            learned constants in the second phase, in [0, 1); 0 leaves the second phase out.
        scale_recipe: of the first phase.
        constant_recipe: of the second phase.

    Raises:
        SettingError: a number out of range.
    """

    knob: float = 0.5
    scales: tuple[float, float] = (1e-2, 2.0)
    suppress: float = 0.5
    scale_recipe: Recipe = field(default_factory=lambda: Recipe(epochs=3, min_steps=300, lr=5e-2))
    constant_recipe: Recipe = field(
        default_factory=lambda: Recipe(epochs=1, min_steps=100, lr=1e-2)
    )

    def __post_init__(self) -> None:
        low, high = self.scales
        if not 0 < low < high < float("inf"):
            raise SettingError(f"scales must be 0 < low < high, not {self.scales}")
        if not self.knob >= 0 or not 0 <= self.suppress < 1:
            raise SettingError(
                f"Cloak needs a knob of 0 or more and a share to suppress in [0, 1), not "
                f"{self.knob}, {self.suppress}"
            )


@final
class Suppressed(nn.Module):
    """x ⊙ b: features that are not kept become 0.

    Args:
        keep: b, one value for each feature, `[*shape]`; to load an obfuscator that has some, pass
            `pre=Suppressed(torch.ones(shape))`.
    """

    keep: Tensor

    def __init__(self, keep: Tensor) -> None:
        super().__init__()
        self.register_buffer("keep", keep.to(torch.get_default_dtype()))

    def forward(self, x: Tensor) -> Tensor:
        """What is kept of `x` `[B, *shape]`."""
        return x * self.keep


def cloak(
    model: nn.Module,
    records: Records,
    settings: CloakSettings | None = None,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> Obfuscator:
    """Learn how much noise each feature of the input can bear before a frozen network.

    First phase: x + μ + σ ε with σ = (1 + tanh ρ) / 2 · (max - min) + min, ρ and μ learned on
    cross-entropy - λ log(mean σ). Second phase: the features with the largest scales are replaced
    by constants, learned on the cross-entropy alone (Mireshghallah et al., "Not All Features Are
    Equal", WWW 2021). Here every record has a draw of its own; in the published code a batch
    shares one, and records differ by their clean difference.

    It protects inference; nothing in it knows labels.

    Args:
        model: takes the records; stays as it is.
        records: to train on.
        settings: how much noise, how many constants.
        seed: of draws and orders.
        progress: called after every epoch.

    Returns:
        An obfuscator: `AdditiveNoise`, behind `Suppressed` if there are constants.

    Raises:
        DataError: the data cannot be used, or the training diverged.
    """
    settings = settings or CloakSettings()
    check_batch(records.inputs, records.labels, records.num_classes, records.name)
    job = _Cloak(model, records, settings, seed, progress)
    with frozen(model):
        location, scale = job.scales()
        keep = _kept(scale, settings.suppress)
        if not bool(keep.all()):
            location = torch.where(keep, location, job.constants(location, scale, keep))
    return _obfuscator(location, scale, keep, settings)


@dataclass(frozen=True, eq=False)
class _Cloak:
    model: nn.Module
    records: Records
    settings: CloakSettings
    seed: int
    progress: Progress

    def scales(self) -> tuple[Tensor, Tensor]:
        """Location and scale of every feature, after the first phase."""
        low, high = self.settings.scales
        location = torch.zeros(self.records.shape)
        rho = torch.full(self.records.shape, -2.0)  # little noise: the network still works

        def scale() -> Tensor:
            return (1 + rho.tanh()) / 2 * (high - low) + low

        def loss(x: Tensor, labels: Tensor) -> Tensor:
            shown = x + location + scale() * torch.randn_like(x)
            task = F.cross_entropy(self.model(shown), labels)
            return task - self.settings.knob * scale().mean().log()

        self._descend([location, rho], loss, self.settings.scale_recipe, "cloak scales")
        return location.detach(), scale().detach()

    def constants(self, location: Tensor, scale: Tensor, keep: Tensor) -> Tensor:
        """What stands for suppressed features, after the second phase."""
        constant = self.records.inputs.mean(0)

        def loss(x: Tensor, labels: Tensor) -> Tensor:
            noisy = x + location + scale * torch.randn_like(x)
            return F.cross_entropy(self.model(torch.where(keep, noisy, constant)), labels)

        self._descend([constant], loss, self.settings.constant_recipe, "cloak constants")
        return constant.detach()

    def _descend(self, trained: list[Tensor], loss: Loss, recipe: Recipe, phase: str) -> None:
        descend(
            trained, loss, self.records, recipe,
            seed=self.seed, phase=phase, progress=self.progress,
        )  # fmt: skip


def _kept(scale: Tensor, suppress: float) -> Tensor:
    count = round(suppress * scale.numel())
    order = scale.flatten().argsort(descending=True, stable=True)
    keep = torch.ones(scale.numel(), dtype=torch.bool)
    keep[order[:count]] = False
    return keep.reshape(scale.shape)


def _obfuscator(
    location: Tensor, scale: Tensor, keep: Tensor, settings: CloakSettings
) -> Obfuscator:
    law = Gaussian(min_scale=min(1e-3, settings.scales[0] / 2))
    layer = AdditiveNoise(location.shape, law)
    excess = (scale - law.min_scale).clamp(min=1e-6)
    raw = excess + torch.log(-torch.expm1(-excess))  # the inverse of softplus
    with torch.no_grad():
        layer.weight[0] = location
        layer.weight[1] = raw.where(keep, torch.full_like(raw, -20.0))  # a constant needs no noise
    return Obfuscator(layer, pre=None if bool(keep.all()) else Suppressed(keep))
