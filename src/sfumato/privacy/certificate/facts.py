"""What of an obfuscator a guarantee can rest on: scales, and how far apart locations can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast, final

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sfumato.nn import AdditiveNoise, ConditionalAdditiveNoise, SoftSelection, StochasticModule
from sfumato.nn.clip import ClipNorm
from sfumato.nn.kernels import KernelLayer
from sfumato.noise import Gaussian, Laplace, NoiseLaw

Family = Literal["Gaussian", "Laplace"]
NO_BOUND = (
    "the location is not bounded, so that it can outgrow any noise: give the layer "
    "bound=(low, high), or end the regular layers with sf.nn.ClipNorm"
)


class Certifiable(Protocol):
    """The part of an obfuscator that is looked at here."""

    layer: Any
    pre: nn.Module
    selection: nn.Module | None


class Unproved(Exception):
    """A premise fails; the message says which."""


@final
@dataclass(frozen=True)
class Facts:
    """M mechanisms (one for each class, more for a learned selection) on n elements.

    Args:
        family: of the noise.
        low: the smallest scale of every element, `[M, n]`, float64.
        high: the largest.
        box: the widest interval of every element's location, or None where it has no bound.
        radius: each mechanism's locations lie within this Euclidean distance of its `centre`,
            `[M]`; None where nothing says so.
        centre: `[M, n]`.
        classes: how many of the mechanisms, the first ones, are those of a label.
        unlabelled: whether `obf(x)` is covered.
        ground: what bounds the location, in words.
    """

    family: Family
    low: Tensor
    high: Tensor
    box: float | None
    radius: Tensor | None
    centre: Tensor
    classes: int
    unlabelled: bool
    ground: str

    @property
    def constant(self) -> bool:
        """Whether no scale depends on the record."""
        return torch.equal(self.low, self.high)


@torch.no_grad()
def read_facts(obfuscator: Certifiable, shape: Sequence[int] | None) -> Facts:
    """What holds of an obfuscator for every record there can be.

    Raises:
        Unproved: a premise fails.
    """
    from sfumato.privacy.certificate.additive import additive_facts
    from sfumato.privacy.certificate.kernels import kernel_facts

    layer, radius = cast("StochasticModule", obfuscator.layer), clip_radius(obfuscator.pre)
    _check_alone(obfuscator.pre)
    if isinstance(layer, (AdditiveNoise, ConditionalAdditiveNoise)):
        facts = additive_facts(layer, family_of(layer.noise), radius, obfuscator.selection)
    elif isinstance(layer, KernelLayer):
        gated = obfuscator.selection is not None
        facts = kernel_facts(layer, family_of(layer.noise), radius, shape, gated)
    else:
        raise Unproved(
            f"the scale of a {type(layer).__name__} depends on the record and has no bound: use "
            "additive noise behind a bottleneck (sfumato.obfuscation.bottleneck)"
        )
    if not bool(torch.isfinite(facts.low).all() and torch.isfinite(facts.high).all()):
        raise Unproved("a scale is NaN or infinite: fit the obfuscator again")
    return facts


def family_of(law: NoiseLaw) -> Family:
    """The family of a law that has a guarantee.

    Raises:
        Unproved: it has none.
    """
    if type(law) is Gaussian:
        return "Gaussian"
    if type(law) is Laplace:
        return "Laplace"
    raise Unproved(
        f"{type(law).__name__} noise has no guarantee here, only Gaussian and Laplace noise has"
    )


def clip_radius(pre: nn.Module) -> float | None:
    """C where the regular layers end with `ClipNorm`."""
    while isinstance(pre, nn.Sequential) and len(pre):
        pre = pre[len(pre) - 1]
    return pre.radius if isinstance(pre, ClipNorm) else None


def covered(selection: nn.Module | None) -> bool:
    """Whether a learned selection looks at no record."""
    return selection is None or isinstance(selection, SoftSelection)


def unit(values: Tensor) -> float:
    """The relative rounding error of the arithmetic that `values` are part of."""
    return torch.finfo(values.dtype).eps


def _check_alone(pre: nn.Module) -> None:
    for part in pre.modules():
        if isinstance(part, _BatchNorm) and (part.training or part.running_mean is None):
            raise Unproved(
                f"the {type(part).__name__} before the noise mixes the records of a batch: call "
                "eval() on the obfuscator first"
            )
