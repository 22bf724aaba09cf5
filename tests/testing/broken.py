"""Laws that are right, and laws that each break one clause of the contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import (
    AffineTransform,
    Distribution,
    Normal,
    SigmoidTransform,
    TransformedDistribution,
    Uniform,
)

from sfumato.errors import SettingError
from sfumato.noise import LocationScale, Params, Source, source

TORCH = source("torch")


@dataclass(frozen=True)
class Right(LocationScale):
    """A Gaussian law without short cuts."""

    def _standard(self, shape: Any, dtype: Any, device: Any, source: Source) -> Tensor:
        return source.normal(shape, dtype, device)

    def distribution(self, params: Params) -> Distribution:
        return Normal(*params, validate_args=False)


class Cauchy(Right):
    """Without mean or variance."""

    def _standard(self, shape: Any, dtype: Any, device: Any, source: Source) -> Tensor:
        return torch.tan(torch.pi / 2 * source.symmetric(shape, dtype, device))

    def distribution(self, params: Params) -> Distribution:
        return torch.distributions.Cauchy(*params, validate_args=False)


class Logistic(Right):
    """Its distribution knows neither moments nor entropy."""

    def _standard(self, shape: Any, dtype: Any, device: Any, source: Source) -> Tensor:
        uniform = source.symmetric(shape, dtype, device)
        return torch.log1p(uniform) - torch.log1p(-uniform)

    def distribution(self, params: Params) -> Distribution:
        location, scale = params
        ends = Uniform(torch.zeros_like(location), torch.ones_like(location))
        steps = [SigmoidTransform().inv, AffineTransform(location, scale)]
        return TransformedDistribution(ends, steps, validate_args=False)


class Refusing(Right):
    """It cannot draw from the operating system's source, and says so."""

    def draw(self, shape: Any, *, source: Source = TORCH, **more: Any) -> Tensor:
        if source is not TORCH:
            raise SettingError("this law draws from torch alone")
        return super().draw(shape, **more)


class WrongScale(Right):
    def distribution(self, params: Params) -> Distribution:
        return Normal(params[0], 1.1 * params[1], validate_args=False)


class WrongLocation(Right):
    def transform(self, params: Params, eps: Tensor) -> Tensor:
        return super().transform(params, eps) + 0.05


class Unseeded(Right):
    def _standard(self, shape: Any, dtype: Any, device: Any, source: Source) -> Tensor:
        return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(0)) + (
            torch.rand(shape, generator=torch.Generator().manual_seed(torch.Generator().seed()))
        )


class Frozen(Right):
    def _standard(self, shape: Any, dtype: Any, device: Any, source: Source) -> Tensor:
        return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


class Overflowing(Right):
    def constrain(self, raw: Sequence[Tensor]) -> Params:
        location, scale = super().constrain(raw)
        wide = raw[1].to(scale.dtype)
        return location, torch.log1p(wide.exp()) + self.min_scale


class NotANumberGradient(Right):
    def constrain(self, raw: Sequence[Tensor]) -> Params:
        location, scale = super().constrain(raw)
        wide = raw[1].to(scale.dtype)
        return location, torch.where(wide > 20, wide, wide.exp().log1p()) + self.min_scale


class SharedByRecords(Right):
    def _standard(self, shape: Any, dtype: Any, device: Any, source: Source) -> Tensor:
        return source.normal((1, *shape[1:]), dtype, device).expand(shape)


class SharedByNeighbours(Right):
    def _standard(self, shape: Any, dtype: Any, device: Any, source: Source) -> Tensor:
        count = (shape[0] + 1) // 2
        return source.normal((count, *shape[1:]), dtype, device).repeat_interleave(2, 0)[: shape[0]]


class SharedByElements(Right):
    def _standard(self, shape: Any, dtype: Any, device: Any, source: Source) -> Tensor:
        return source.normal((*shape[:-1], 1), dtype, device).expand(shape)


class WrongMean(Right):
    def mean(self, params: Params) -> Tensor:
        return params[0] + 0.01


class ScaleWithoutLogarithm(Right):
    def log_scale(self, params: Params) -> Tensor:
        return params[1]


class WrongEntropy(Right):
    def entropy(self, params: Params) -> Tensor:
        return self.log_scale(params)


class CoarseDraw(Right):
    def draw(self, shape: Any, *, dtype: Any = torch.float32, **more: Any) -> Tensor:
        return super().draw(shape, dtype=dtype, **more).to(dtype)


class CoarseParameters(Right):
    def constrain(self, raw: Sequence[Tensor]) -> Params:
        return raw[0], F.softplus(raw[1]) + self.min_scale


class NegativeScale(Right):
    def constrain(self, raw: Sequence[Tensor]) -> Params:
        location, _ = super().constrain(raw)
        return location, raw[1].to(location.dtype)


class DrawsInTransform(Right):
    def transform(self, params: Params, eps: Tensor) -> Tensor:
        return super().transform(params, torch.randn_like(eps))


class DeafToSource(Right):
    def _standard(self, shape: Any, dtype: Any, device: Any, source: Source) -> Tensor:
        return TORCH.normal(shape, dtype, device)


class Detached(Right):
    def transform(self, params: Params, eps: Tensor) -> Tensor:
        return super().transform((params[0], params[1].detach()), eps)


class WrongGradient(Right):
    def transform(self, params: Params, eps: Tensor) -> Tensor:
        return super().transform((params[0], 2 * params[1] - params[1].detach()), eps)


class Mixing(Right):
    def transform(self, params: Params, eps: Tensor) -> Tensor:
        return super().transform(params, eps - eps.mean(0) / len(eps))


class Forgetful(Right):
    def config(self) -> dict[str, Any]:
        return {}


class ItsOwnIdentity(Right):
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


@dataclass(frozen=True, repr=False)
class Nameless(Right):
    def __repr__(self) -> str:
        return "a law"


class AnotherShortCut(Right):
    def draw_from(self, raw: Tensor, axis: int) -> Tensor:
        return 1.01 * super().draw_from(raw, axis)


class OnlyTheLastAxis(Right):
    def draw_from(self, raw: Tensor, axis: int) -> Tensor:
        return super().draw_from(raw, -1)


class InPlace(Right):
    def _standard(self, shape: Any, dtype: Any, device: Any, source: Source) -> Tensor:
        if source is not TORCH:
            return source.normal(shape, dtype, device)
        return torch.empty(tuple(shape), dtype=dtype, device=device).normal_()


class LooksAtValues(Right):
    def transform(self, params: Params, eps: Tensor) -> Tensor:
        return super().transform(params, eps) if eps.sum() < 1e9 else eps


class Flat(Right):
    def transform(self, params: Params, eps: Tensor) -> Tensor:
        return super().transform(params, eps).flatten()


class Mirrored(Right):
    def transform(self, params: Params, eps: Tensor) -> Tensor:
        return super().transform((-params[0], params[1]), eps)


class Padded(Right):
    def eps_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        return (*shape, 1)


@dataclass(frozen=True)
class Learning(Right):
    """Noise that holds a parameter."""

    scale: Tensor = field(default_factory=lambda: torch.ones((), requires_grad=True), hash=False)

    def _standard(self, shape: Any, dtype: Any, device: Any, source: Source) -> Tensor:
        return source.normal(shape, dtype, device) * self.scale
