"""What the weights are believed to be before any data, and the divergence from it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal, kl_divergence

from sfumato.errors import SettingError
from sfumato.noise import NoiseLaw, Params, Source
from sfumato.noise.source import TORCH


class Prior(ABC):
    """A distribution over weights, the same for every weight and independent between them."""

    @abstractmethod
    def log_prob(self, weight: Tensor) -> Tensor:
        """The log density at `weight`, in nats: one number per weight, or their sum."""

    def distribution(self) -> Distribution | None:
        """The prior as a torch distribution, where it is one: then KL may have a closed form."""
        return None

    def kl(self, law: NoiseLaw, params: Params, source: Source = TORCH) -> Tensor:
        """KL(q || p) = E_q[log q(w) - log p(w)], summed over the weights, in nats.

        In closed form where torch knows one for the two families; otherwise one draw estimates it.

        Args:
            law: the family of the weights' distribution q.
            params: its parameters, each of the weights' shape.
            source: where the draw comes from.

        Raises:
            SettingError: one of the two is a density, the other gives probabilities of numbers; or
                the law ties weights together, and the prior does not.
        """
        learned, prior = law.distribution(params), self.distribution()
        _check_kind(learned, prior)
        if prior is not None:
            try:
                return kl_divergence(learned, prior).sum()
            except NotImplementedError:
                pass  # no closed form for these two families
        first = params[0]
        eps = law.draw(first.shape, dtype=first.dtype, device=first.device, source=source)
        weight = law.transform(params, eps)
        return learned.log_prob(weight).sum() - self.log_prob(weight).sum()


@final
@dataclass(frozen=True)
class GaussianPrior(Prior):
    """w ~ N(mean, scale²): the closed form with Gaussian weights (Blundell et al. 2015).

    Args:
        scale: the standard deviation; above 0.
        mean: the mean.

    Raises:
        SettingError: `scale` is not above 0.
    """

    scale: float = 1.0
    mean: float = 0.0

    def __post_init__(self) -> None:
        _check_scale(scale=self.scale)

    def log_prob(self, weight: Tensor) -> Tensor:
        z = (weight - self.mean) / self.scale
        return -0.5 * z.square() - math.log(self.scale * math.sqrt(2 * math.pi))

    def distribution(self) -> Distribution:
        return Normal(self.mean, self.scale, validate_args=False)


@final
@dataclass(frozen=True)
class ScaleMixture(Prior):
    """w ~ share · N(0, wide²) + (1 - share) · N(0, narrow²) (Blundell et al. 2015, eq. 7).

    The divergence has no closed form: one draw estimates it.

    Args:
        share: of the wide component, inside (0, 1).
        wide: its standard deviation.
        narrow: the other's.

    Raises:
        SettingError: an argument is out of its range.
    """

    share: float = 0.5
    wide: float = 1.0
    narrow: float = 0.0025

    def __post_init__(self) -> None:
        _check_scale(wide=self.wide, narrow=self.narrow)
        if not 0 < self.share < 1:
            raise SettingError(f"share must lie inside (0, 1), not {self.share}")

    def log_prob(self, weight: Tensor) -> Tensor:
        wide = GaussianPrior(self.wide).log_prob(weight) + math.log(self.share)
        narrow = GaussianPrior(self.narrow).log_prob(weight) + math.log1p(-self.share)
        return torch.logaddexp(wide, narrow)


@final
@dataclass(frozen=True)
class CallablePrior(Prior):
    """A prior given by its log density alone, `log_density(weight)`."""

    log_density: Callable[[Tensor], Tensor]

    def log_prob(self, weight: Tensor) -> Tensor:
        return self.log_density(weight)


@final
@dataclass(frozen=True, eq=False)
class DistributionPrior(Prior):
    """A prior given as a torch distribution."""

    law: Distribution

    def __post_init__(self) -> None:
        if self.law.batch_shape or self.law.event_shape:
            raise SettingError(
                f"a prior is one distribution for every weight, but {self.law} has the shape "
                f"{list(self.law.batch_shape + self.law.event_shape)}: give scalar parameters"
            )

    def log_prob(self, weight: Tensor) -> Tensor:
        return self.law.log_prob(weight)

    def distribution(self) -> Distribution:
        return self.law


PriorLike = Prior | Distribution | Callable[[Tensor], Tensor]


def read_prior(prior: PriorLike) -> Prior:
    """A `Prior` from what a constructor accepts.

    Raises:
        SettingError: it is neither a prior, nor a torch distribution, nor a function.
    """
    if isinstance(prior, Prior):
        return prior
    if isinstance(prior, Distribution):
        return DistributionPrior(prior)
    if callable(prior):
        return CallablePrior(prior)
    raise SettingError(
        "a prior is a sfumato.nn.GaussianPrior, a ScaleMixture, a torch distribution or a function "
        f"that gives the log density of a weight, not {type(prior).__name__}"
    )


def _check_kind(learned: Distribution, prior: Distribution | None) -> None:
    if learned.event_shape:
        raise SettingError(
            f"no divergence is known for weights that {type(learned).__name__} ties together"
        )
    if prior is not None and _discrete(prior) != _discrete(learned):
        kinds = ("a density", "a law of whole numbers")
        raise SettingError(
            f"the weights follow {kinds[_discrete(learned)]} and the prior is "
            f"{kinds[_discrete(prior)]}, between which there is no divergence: give a prior of the "
            "other kind, such as torch.distributions.Binomial(trials, logits=torch.zeros(()))"
        )


def _discrete(distribution: Distribution) -> bool:
    return bool(getattr(distribution.support, "is_discrete", False))


def _check_scale(**scales: float) -> None:
    for name, scale in scales.items():
        if not 0 < scale < math.inf:
            raise SettingError(f"{name} must be above 0 and finite, not {scale}")
