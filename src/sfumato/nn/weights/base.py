"""What all Bayesian layers share: weights with a law, a prior, and the divergence between them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import TypeAlias

import torch
from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.nn.base import SamplingModule, read_law
from sfumato.nn.values import eager
from sfumato.nn.weights.draw import draw_weight, draw_weight_and_kl, gaussian_kl
from sfumato.nn.weights.prior import GaussianPrior, Prior, PriorLike, read_prior
from sfumato.noise import Gaussian, LocationScale, NoiseLaw, Params, raw_scale
from sfumato.noise.source import TORCH

UNIT = GaussianPrior()
KLObserver: TypeAlias = "Callable[[Tensor | None], None]"


class BayesianModule(SamplingModule, ABC):
    """A module whose weights are drawn from a learned distribution, once per call.

    A weight is described by raw blocks: block 0 is the plain parameter itself (the location, for a
    law that has one), the others are stacked on the first axis of a second parameter beside it.
    """

    _kl_observers: tuple[KLObserver, ...] = ()

    def __init__(self, noise: NoiseLaw, prior: PriorLike) -> None:
        super().__init__()
        self.noise = read_law(noise)
        self.prior: Prior = read_prior(prior)

    @abstractmethod
    def posterior(self) -> dict[str, tuple[Tensor, ...]]:
        """The raw blocks of every weight that is drawn, by the name of the plain parameter."""

    def weight_params(self) -> dict[str, Params]:
        """The parameters of the law of every weight, by the name of the plain parameter."""
        return {name: self.noise.constrain(raw) for name, raw in self.posterior().items()}

    def kl(self) -> Tensor:
        """KL(q || prior), summed over all weights of this layer, in nats.

        Add it to the loss once per batch, divided as the loss is: for a mean over records,
        `kl / number of training records`.
        """
        return _sum(self._kl_of(raw) for raw in self.posterior().values())

    def _tell(self, kl: Tensor | None) -> None:
        """Tell who listens that the layer was called, and the divergence where it is at hand."""
        for observe in self._kl_observers:
            observe(kl)

    def _draw(self, posterior: dict[str, tuple[Tensor, ...]]) -> dict[str, Tensor]:
        """One draw of every weight; who listens may get the divergence from the same pass."""
        prior, quick = self.prior, all(map(self._quick, posterior.values()))
        if not (self._kl_observers and quick and isinstance(prior, GaussianPrior)):
            self._tell(None)
            return {name: self._drawn(raw) for name, raw in posterior.items()}
        both = {
            name: draw_weight_and_kl(raw[0], raw[1], self._min_scale, prior)
            for name, raw in posterior.items()
        }
        self._tell(_sum(kl for _, kl in both.values()))
        return {name: weight for name, (weight, _) in both.items()}

    def _mean(self, raw: tuple[Tensor, ...]) -> Tensor:
        """The mean of one weight; a location is it already."""
        if isinstance(self.noise, LocationScale):
            return raw[0]
        return self.noise.mean(self.noise.constrain(raw)).to(raw[0].dtype)

    def _weights(self, posterior: dict[str, tuple[Tensor, ...]]) -> dict[str, Tensor]:
        """The weights of one call: a draw, or the means."""
        if self.mode == "mean":
            self._tell(None)
            return {name: self._mean(raw) for name, raw in posterior.items()}
        return self._draw(posterior)

    def _drawn(self, raw: tuple[Tensor, ...]) -> Tensor:
        if self._quick(raw):
            return draw_weight(raw[0], raw[1], self._min_scale)
        params = self.noise.constrain(raw)
        return self._transformed(params).to(raw[0].dtype)

    def _kl_of(self, raw: tuple[Tensor, ...]) -> Tensor:
        if self._quick(raw) and isinstance(self.prior, GaussianPrior):
            return gaussian_kl(raw[0], raw[1], self._min_scale, self.prior)
        return self.prior.kl(self.noise, self.noise.constrain(raw), self.source)

    def _transformed(self, params: Params) -> Tensor:
        first = params[0]
        eps = self.noise.draw(
            first.shape, dtype=first.dtype, device=first.device, source=self.source
        )
        return self.noise.transform(params, eps)

    def _quick(self, raw: tuple[Tensor, ...]) -> bool:
        """Whether the draw may be done in one node of its own."""
        plain = type(self.noise) is Gaussian and self.source is TORCH
        return plain and eager(raw[0]) and raw[0].dtype in (torch.float32, torch.float64)

    @property
    def _min_scale(self) -> float:
        return self.noise.min_scale if isinstance(self.noise, LocationScale) else 0.0


def start_scale(noise: NoiseLaw, usual: float, scale: float | None) -> float:
    """The raw value at which scales start: that of `scale`, or where it is None of `usual`.

    Twice `min_scale` is the least that `usual` gives.

    Raises:
        SettingError: `scale` is not above the law's `min_scale`, or the law has no scale.
    """
    if not isinstance(noise, LocationScale):
        if scale is not None:
            raise SettingError(f"{type(noise).__name__} has no scale to start at: leave scale out")
        return 0.0
    usual = max(usual, 2 * noise.min_scale)
    return raw_scale(usual if scale is None else scale, noise.min_scale)


def raw_blocks(location: Tensor, noise: NoiseLaw, start: float) -> nn.Parameter | None:
    """A parameter for all blocks of a weight but the first, stacked on the first axis.

    It has as many axes as the weight, so that a memory format suits both.
    """
    more = noise.num_params - 1
    if not more:
        return None
    first, *rest = location.shape or (1,)
    shape = location.shape if more == 1 else (more * first, *rest)
    blank = torch.full(shape, start, dtype=location.dtype, device=location.device)
    return nn.Parameter(blank, requires_grad=location.requires_grad)


def blocks_of(noise: NoiseLaw, location: Tensor, raw: Tensor | None) -> tuple[Tensor, ...]:
    """The raw blocks of a weight."""
    if raw is None:
        return (location,)
    if noise.num_params == 2:
        return location, raw
    return location, *(block.reshape(location.shape) for block in raw.chunk(noise.num_params - 1))


def _sum(parts: Iterable[Tensor]) -> Tensor:
    total: Tensor | None = None
    for part in parts:
        total = part if total is None else total + part
    return torch.zeros(()) if total is None else total
