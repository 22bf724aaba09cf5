"""What of an obfuscator a guarantee can rest on: scales, and how far apart locations can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, cast, final

import torch
from torch import Tensor, nn

from sfumato.nn import AdditiveNoise, ConditionalAdditiveNoise, SoftSelection, StochasticModule
from sfumato.nn.bound import Bound
from sfumato.nn.conditional.kernels import (
    ConditionalConv1d,
    ConditionalConv2d,
    ConditionalConv3d,
    ConditionalLinear,
)
from sfumato.nn.kernels import KernelLayer
from sfumato.nn.stochastic import (
    StochasticConv1d,
    StochasticConv2d,
    StochasticConv3d,
    StochasticLinear,
)
from sfumato.noise import Gaussian, Laplace, NoiseLaw
from sfumato.privacy.certificate.parts import changed, clip_radius, mixing, unclear_clip, unknown

Family = Literal["Gaussian", "Laplace"]
_ADDITIVE = (AdditiveNoise, ConditionalAdditiveNoise)
_KERNELS = (
    StochasticLinear, StochasticConv1d, StochasticConv2d, StochasticConv3d,
    ConditionalLinear, ConditionalConv1d, ConditionalConv2d, ConditionalConv3d,
)  # fmt: skip
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
        unchecked: what else it rests on that was not checked, in words.
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
    unchecked: tuple[str, ...] = ()

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

    pre, layer = obfuscator.pre, cast("StochasticModule", obfuscator.layer)
    _check_unchanged(obfuscator, layer)
    if found := mixing(pre):
        raise Unproved(found)
    radius = clip_radius(pre)
    if radius is None and layer.bound is None and (why := unclear_clip(pre)):
        raise Unproved(why)
    # What is done to a subclass is not known: the very classes, or nothing.
    if type(layer) in _ADDITIVE:
        additive = cast("AdditiveNoise | ConditionalAdditiveNoise", layer)
        facts = additive_facts(additive, family_of(layer.noise), radius, obfuscator.selection)
    elif type(layer) in _KERNELS:
        gated = obfuscator.selection is not None
        kernels = cast("KernelLayer", layer)
        facts = kernel_facts(kernels, family_of(layer.noise), radius, shape, gated)
    else:
        raise Unproved(
            f"the scale of a {type(layer).__name__} depends on the record and has no bound: use "
            "additive noise behind a bottleneck (sfumato.obfuscation.bottleneck)"
        )
    if not bool(torch.isfinite(facts.low).all() and torch.isfinite(facts.high).all()):
        raise Unproved("a scale is NaN or infinite: fit the obfuscator again")
    return replace(facts, unchecked=(*facts.unchecked, *_alone(pre)))


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


def covered(selection: nn.Module | None) -> bool:
    """Whether a learned selection looks at no record."""
    return selection is None or (type(selection) is SoftSelection and not changed(selection))


def unit(values: Tensor) -> float:
    """The relative rounding error of the arithmetic that `values` are part of."""
    return torch.finfo(values.dtype).eps


def _check_unchanged(obfuscator: Certifiable, layer: StochasticModule) -> None:
    """Raise `Unproved` where something may have been put around the obfuscator or its layer."""
    if not type(obfuscator).__module__.startswith("sfumato."):
        raise Unproved(
            f"a {type(obfuscator).__name__} is not sfumato's own Obfuscator: what it releases is "
            "not known"
        )
    if layer.bound is not None and type(layer.bound) is not Bound:
        raise Unproved(f"a {type(layer.bound).__name__} is not sf.nn.Bound itself")
    for part in (obfuscator, layer):
        if isinstance(part, nn.Module) and (how := changed(part)):
            raise Unproved(f"the {type(part).__name__} {how}: what it releases is not known")


def _alone(pre: nn.Module) -> tuple[str, ...]:
    names = unknown(pre)
    if not names:
        return ()
    return (f"each record is treated by itself in {', '.join(names)}, which was not checked",)
