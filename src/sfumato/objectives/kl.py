"""The divergence of a model's weights from their priors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sfumato.nn.weights.base import BayesianModule


def kl(model: nn.Module) -> Tensor:
    """Σ KL(q || prior) over the Bayesian layers of `model`, each counted once, in nats.

    Args:
        model: a Bayesian layer or any network that contains some.

    Returns:
        A number; 0 where no layer is Bayesian.
    """
    parts = [module.kl() for module in model.modules() if isinstance(module, BayesianModule)]
    if not parts:
        return torch.zeros(())
    return torch.stack([part.to(parts[0]) for part in parts]).sum()
