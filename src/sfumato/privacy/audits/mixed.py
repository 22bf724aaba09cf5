"""Releases of a mixture as independent standard normal variates."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Categorical, Laplace, MixtureSameFamily, Normal

_COARSE = 1e-4
"""Noise finer than this share of its location drowns in the rounding of float32."""


def mixture_scores(law: MixtureSameFamily, seen: Tensor) -> Tensor:
    """Rosenblatt's transformation of releases `[R, B, e]`: Φ⁻¹ of P(Y_j <= y_j | y_1 .. y_j-1).

    Under the law these are independent and standard normal. Given the elements before it, an
    element has the law Σ_c w_c F_cj, with w_c ∝ π_c Π_i<j f_ci(y_i).

    Source: Rosenblatt, Remarks on a multivariate transformation, 1952.
    """
    parts, weights = _parts(law)
    return torch.stack([_scores(parts, weights, one.unsqueeze(1)) for one in seen.double()])


def class_scores(law: MixtureSameFamily, seen: Tensor) -> Tensor:
    """What releases `[R, B, e]` tell of the class that was drawn, `[R, B, 1]`, standard normal.

    A class is drawn from its posterior, and then a number from its share of [0, 1]: under the law
    the class has its prior again, and the number is uniform.
    """
    parts, weights = _parts(law)
    density = torch.stack([parts.log_prob(one.unsqueeze(1)).sum(2) for one in seen.double()])
    drawn = Categorical(logits=density + weights.squeeze(2), validate_args=False).sample()
    ends = weights.squeeze(2).exp().cumsum(1).expand(len(seen), -1, -1)
    high = ends.gather(2, drawn.unsqueeze(2))
    share = weights.squeeze(2).exp().expand_as(ends).gather(2, drawn.unsqueeze(2))
    uniform = high - share * torch.rand_like(high)
    return torch.special.ndtri(uniform.clamp(1e-15, 1 - 1e-15))


def is_coarse(law: MixtureSameFamily) -> bool:
    """Whether no noise drowns in rounding, so that scores can be believed."""
    parts, _ = _parts(law)
    return bool((parts.scale > _COARSE * parts.loc.abs()).all())


def _parts(law: MixtureSameFamily) -> tuple[Normal | Laplace, Tensor]:
    """The laws of the classes `[B, C, e]`, and log π `[B, C, 1]`, in float64."""
    parts = law.component_distribution.base_dist  # type: ignore[attr-defined]
    parts = type(parts)(parts.loc.double(), parts.scale.double(), validate_args=False)
    return parts, law.mixture_distribution.logits.double().log_softmax(1).unsqueeze(2)


def _scores(parts: Normal | Laplace, weights: Tensor, y: Tensor) -> Tensor:
    density = parts.log_prob(y)  # [B, C, e]
    before = density.cumsum(2) - density
    shares = (weights + before).softmax(1)
    mirrored = type(parts)(-parts.loc, parts.scale, validate_args=False)
    below, above = (shares * parts.cdf(y)).sum(1), (shares * mirrored.cdf(-y)).sum(1)
    tail = torch.special.ndtri(torch.minimum(below, above).clamp(min=1e-300))
    return torch.where(below < above, tail, -tail)
