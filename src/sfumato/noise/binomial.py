"""The Binomial law."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Binomial as BinomialDistribution
from torch.distributions import Distribution

from sfumato.noise.base import Params
from sfumato.noise.relaxed import Relaxed, straight_through


@final
@dataclass(frozen=True)
class Binomial(Relaxed):
    """h = Σ_t 1[l + ε_t > 0], the successes among `trials` trials (spec 1 §1.1.1).

    l is the raw value, a logit: p = sigmoid(l); ε_t is standard logistic noise. The gradient is
    that of Σ_t sigmoid((l + ε_t) / temperature). In expectation it is that of the mean loss for
    losses linear or quadratic in h, but only as the temperature falls to 0; at temperature 1 and
    p = 1/2 a linear loss has two thirds of it. The scale is the standard deviation, √(n p (1 - p)).

    Args:
        trials: number of trials n, at least 1.
        temperature: of the relaxation, above 0.

    Raises:
        SettingError: `trials` is below 1 or no integer; `temperature` is not above 0 and finite.

    Example:
        >>> import torch
        >>> law = Binomial(8)
        >>> law.mean(law.constrain((torch.tensor([0.0, 100.0]),)))
        tensor([4., 8.])
    """

    def _standard(self, uniform: Tensor) -> Tensor:
        return torch.log1p(uniform) - torch.log1p(-uniform)

    def transform(self, params: Params, eps: Tensor) -> Tensor:
        score = params[0].unsqueeze(-1) + eps
        hard = (score > 0).to(score.dtype).sum(-1)
        if not torch.is_grad_enabled():
            return hard
        return straight_through(hard, (score / self.temperature).sigmoid().sum(-1))

    def mean(self, params: Params) -> Tensor:
        return self.trials * params[0].sigmoid()

    def log_scale(self, params: Params) -> Tensor:
        log_p, log_q = _log_odds(params)
        return (math.log(self.trials) + log_p + log_q) / 2

    def entropy(self, params: Params) -> Tensor:
        log_pmf = self._log_pmf(*_log_odds(params))
        return -(log_pmf.exp() * log_pmf).sum(-1)

    def distribution(self, params: Params) -> Distribution:
        return BinomialDistribution(self.trials, logits=params[0], validate_args=False)


def _log_odds(params: Params) -> tuple[Tensor, Tensor]:
    """The logarithms of p and 1 - p."""
    return F.logsigmoid(params[0]), F.logsigmoid(-params[0])
