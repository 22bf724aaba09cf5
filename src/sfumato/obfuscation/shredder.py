"""Shredder, a baseline: a collection of trained noise tensors, sampled at release."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.data.records import Records, check_batch
from sfumato.errors import DataError, SettingError
from sfumato.obfuscation.descent import descend
from sfumato.obfuscation.freezing import frozen
from sfumato.obfuscation.obfuscator import check_finite
from sfumato.train import Progress, Recipe, seeded, silent


@final
@dataclass(frozen=True)
class ShredderSettings:
    """How noise tensors are trained (Mireshghallah et al., ASPLOS 2020).

    Args:
        tensors: how many are trained, each from a start of its own.
        location: of the Laplace law that a tensor starts from.
        scale: of that law.
        knob: λ in the loss: cross-entropy - λ Σ |n|.
        target: noise that has grown to this ratio of its variance to the mean square of the
            activations (1 / SNR) is no longer rewarded; None for no end.
        recipe: of each tensor.

    Raises:
        SettingError: a number out of range.
    """

    tensors: int = 10
    location: float = 0.0
    scale: float = 1.0
    knob: float = 1e-3
    target: float | None = None
    recipe: Recipe = field(default_factory=lambda: Recipe(epochs=1, min_steps=200, lr=1e-2))

    def __post_init__(self) -> None:
        if self.tensors < 1 or not self.scale > 0 or not self.knob >= 0:
            raise SettingError(
                "Shredder needs at least one tensor, a scale above 0 and a knob of 0 or more, not "
                f"{self.tensors}, {self.scale}, {self.knob}"
            )


@final
class Shredder(nn.Module):
    """a -> a + n at a cut of a network, with n from a collection of trained tensors.

    To each tensor belong the Laplace law that fits its elements best and the order of these. A
    release draws one of the tensors, as many values from its law as it has elements, and puts them
    in its order; with `fitted=False` the tensor itself is added. Every record has its own draw.

    The elements of a release hang together through the common order, so there is no
    `distribution`: attackers have to look at draws. This is a mechanism for
    `sfumato.privacy`, not an `Obfuscator`; labels are ignored.

    Args:
        tensors: `[K, *shape]`.
        pre: the layers before the cut; none when it is None.
        fitted: draw from the fitted laws, or one of the tensors as it is.

    Raises:
        SettingError: no tensor at all.
    """

    tensors: Tensor
    ranks: Tensor
    locations: Tensor
    scales: Tensor

    def __init__(
        self, tensors: Tensor, pre: nn.Module | None = None, *, fitted: bool = True
    ) -> None:
        super().__init__()
        if tensors.dim() < 2 or not len(tensors):
            raise SettingError(
                f"a collection is [K, *shape] with K above 0, not {list(tensors.shape)}"
            )
        flat = tensors.detach().flatten(1)
        self.pre = nn.Identity() if pre is None else pre
        self.fitted = fitted
        self.register_buffer("tensors", tensors.detach().clone())
        self.register_buffer("ranks", flat.argsort(1).argsort(1))
        middle = flat.median(1).values  # the most likely location of a Laplace law
        self.register_buffer("locations", middle)
        self.register_buffer("scales", (flat - middle.unsqueeze(1)).abs().mean(1))

    def forward(self, x: Tensor) -> Tensor:
        """Releases of `x` `[B, ...]`, each with a draw of its own.

        Raises:
            DataError: NaN or infinity in `x`, or activations of another shape than the noise.
        """
        check_finite(x)
        activations = self.pre(x)
        if activations.shape[1:] != self.tensors.shape[1:]:
            raise DataError(
                f"the noise is {list(self.tensors.shape[1:])}, the activations at the cut are "
                f"{list(activations.shape[1:])}"
            )
        return activations + self.noise(len(x))

    @torch.no_grad()
    def release(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """As `forward`, without gradient; the label changes nothing."""
        return self(x)

    def noise(self, count: int) -> Tensor:
        """`count` draws of the noise, `[count, *shape]`."""
        which = torch.randint(len(self.tensors), (count,), device=self.tensors.device)
        if not self.fitted:
            return self.tensors[which]
        size = (count, self.ranks.shape[1])
        standard = torch.distributions.Laplace(self.locations.new_zeros(()), 1.0).sample(size)
        # Sorted values, each in the place where the tensor has an element of that rank.
        drawn = self.locations[which, None] + self.scales[which, None] * standard
        ordered = drawn.sort(1).values.gather(1, self.ranks[which])
        return ordered.reshape(count, *self.tensors.shape[1:])


def shredder(
    model: nn.Module,
    records: Records,
    settings: ShredderSettings | None = None,
    *,
    pre: nn.Module | None = None,
    fitted: bool = True,
    seed: int = 0,
    progress: Progress = silent,
) -> Shredder:
    """Train a collection of noise tensors at a cut of a frozen network.

    Each tensor n starts as Laplace noise and minimises cross-entropy(model(pre(x) + n)) - λ Σ |n|
    over the records; all records share it while it is trained (Mireshghallah et al., "Shredder:
    Learning Noise Distributions to Protect Inference Privacy", ASPLOS 2020). It protects
    inference; nothing in it knows labels.

    Args:
        model: the layers after the cut; stays as it is.
        records: to train on.
        settings: how many tensors, how strong.
        pre: the layers before the cut; stays as it is.
        fitted: see `Shredder`.
        seed: of the starts and of the order of the records.
        progress: called after every epoch of a tensor.

    Raises:
        DataError: the data cannot be used, or a training diverged.
    """
    settings = settings or ShredderSettings()
    check_batch(records.inputs, records.labels, records.num_classes, records.name)
    before = nn.Identity() if pre is None else pre
    with frozen(model, before):
        with torch.no_grad():
            shape = before(records.inputs[:1]).shape[1:]
        tensors = [
            _trained(number, model, before, shape, records, settings, seed, progress)
            for number in range(settings.tensors)
        ]
    return Shredder(torch.stack(tensors), pre, fitted=fitted)


def _trained(
    number: int,
    model: nn.Module,
    pre: nn.Module,
    shape: torch.Size,
    records: Records,
    settings: ShredderSettings,
    seed: int,
    progress: Progress,
) -> Tensor:
    with seeded(seed, "shredder", number):
        noise = torch.distributions.Laplace(settings.location, settings.scale).sample(shape)

    def loss(x: Tensor, labels: Tensor) -> Tensor:
        activations = pre(x)
        task = F.cross_entropy(model(activations + noise), labels)
        ratio = float(noise.detach().var() / activations.square().mean().clamp(min=1e-12))
        done = settings.target is not None and ratio >= settings.target
        return task if done else task - settings.knob * noise.abs().sum()

    descend(
        [noise], loss, records, settings.recipe,
        seed=seed, phase=f"shredder {number}", progress=progress,
    )  # fmt: skip
    return noise.detach()
