"""The Multinomial law."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.distributions import Multinomial as MultinomialDistribution

from sfumato.errors import DataError, SettingError
from sfumato.noise.base import Params
from sfumato.noise.relaxed import Relaxed, straight_through


@final
@dataclass(frozen=True)
class Multinomial(Relaxed):
    """h_k = Σ_t 1[k = argmax_j (l_j + ε_jt)], how often each category won (spec 1 §1.1.1).

    The categories lie along one axis of the sample; l is the raw value, p = softmax(l) over that
    axis, and ε is standard Gumbel noise. With one trial h is one-hot. The gradient is that of
    Σ_t softmax((l + ε_t) / temperature), the Gumbel-softmax: in expectation that of the mean loss
    for losses linear or quadratic in h, but only as the temperature falls to 0. The scale of a
    category is the standard deviation of its count, √(n p (1 - p)).

    `entropy` is that of each event, `distribution` has the categories on its last axis.

    Args:
        trials: number of trials n, at least 1.
        temperature: of the relaxation, above 0.
        axis: where the categories lie, counted from the end. None leaves it to the layer, which
            takes its channels; a law without a layer then takes the last axis.

    Raises:
        SettingError: `trials` is below 1 or no integer; `temperature` is not above 0 and finite;
            `axis` is not below 0.

    Example:
        >>> import torch
        >>> law = Multinomial()
        >>> h = law.transform((torch.tensor([0.0, 100.0, 0.0]),), law.draw((3,)))
        >>> h
        tensor([0., 1., 0.])
    """

    trials: int = 1
    axis: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.axis is not None and self.axis >= 0:
            raise SettingError(
                f"axis is counted from the end, so that it holds without a batch too: -1 or "
                f"below, not {self.axis}"
            )

    def over(self, axis: int) -> Multinomial:
        return self if self.axis is not None else replace(self, axis=axis)

    def _standard(self, uniform: Tensor) -> Tensor:
        # -log(-log u) of u = (1 + uniform) / 2, from the nearer end: u itself would round to 1.
        tail = (1 - uniform.abs()) / 2
        return -torch.log(-torch.where(uniform < 0, tail.log(), torch.log1p(-tail)))

    def transform(self, params: Params, eps: Tensor) -> Tensor:
        axis = self._categories(params[0]) - 1  # in front of the axis of the trials
        # Normalised first: added to logits of a large size, the noise would be rounded away.
        score = params[0].log_softmax(axis + 1).unsqueeze(-1) + eps
        best, winner = score.max(axis, keepdim=True)
        hard = torch.zeros_like(score).scatter(axis, winner, 1.0).sum(-1)
        if not torch.is_grad_enabled():
            return hard
        lag = (score - best.detach()) / self.temperature
        return straight_through(hard, lag.softmax(axis).sum(-1))

    def mean(self, params: Params) -> Tensor:
        return self.trials * params[0].softmax(self._categories(params[0]))

    def log_scale(self, params: Params) -> Tensor:
        log_p, log_q = self._log_shares(params)
        return (math.log(self.trials) + log_p + log_q) / 2

    def entropy(self, params: Params) -> Tensor:
        log_p, log_q = self._log_shares(params)
        axis, n = self._categories(params[0]), self.trials
        single = -(log_p.exp() * log_p).sum(axis)
        if n == 1:
            return single
        counts = torch.arange(n + 1, dtype=log_p.dtype, device=log_p.device)
        ways = (self._log_pmf(log_p, log_q).exp() * torch.lgamma(counts + 1)).sum(-1)
        return n * single - math.lgamma(n + 1) + ways.sum(axis)

    def distribution(self, params: Params) -> Distribution:
        logits = params[0].movedim(self._categories(params[0]), -1)
        return MultinomialDistribution(self.trials, logits=logits, validate_args=False)

    def _categories(self, logits: Tensor) -> int:
        axis = -1 if self.axis is None else self.axis
        if logits.dim() < -axis:
            raise DataError(
                f"the categories lie on axis {axis}, which a sample of {list(logits.shape)} has not"
            )
        return axis

    def _log_shares(self, params: Params) -> tuple[Tensor, Tensor]:
        """The logarithms of p and 1 - p; 1 - p of the likeliest is the sum of the others."""
        axis = self._categories(params[0])
        log_p = params[0].log_softmax(axis)
        least = torch.finfo(log_p.dtype).min
        likeliest = torch.zeros_like(log_p, dtype=torch.bool).scatter(
            axis, log_p.argmax(axis, keepdim=True), True
        )
        others = log_p.masked_fill(likeliest, least).logsumexp(axis, keepdim=True)
        log_q = torch.log1p(-log_p.exp().masked_fill(likeliest, 0.0))
        return log_p.clamp(min=least), torch.where(likeliest, others, log_q)
