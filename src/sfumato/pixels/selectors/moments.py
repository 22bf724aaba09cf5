"""A Bernoulli mask times a value as a Gaussian with the same mean and standard deviation."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import logsigmoid


def mask_moments(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Mean σ(W) and standard deviation √(σ(W)(1 - σ(W))) of a Bernoulli mask.

    By logarithms: the root's gradient stays finite where σ is 0 or 1 to rounding.
    """
    return logits.sigmoid(), ((logsigmoid(logits) + logsigmoid(-logits)) / 2).exp()


def propagated(
    truth: Tensor, logits: Tensor, eps: Tensor, *, variance_as_deviation: bool = False
) -> Tensor:
    """The relaxed sample of S = M ⊙ D with M ~ Bernoulli(σ(W)), by moment propagation.

    S = D σ(W) + |D| √(σ(W)(1 - σ(W))) ε with ε ~ N(0, 1) (spec 5, page "Probabilistic Mask
    Approach"; Peters and Welling 2018). It has the mean and the standard deviation of M ⊙ D.

    Args:
        truth: D, of any shape.
        logits: W, of the same shape, or one that broadcasts to it.
        eps: ε, likewise.
        variance_as_deviation: the source's page on the reparameterisation has D² σ (1 - σ) before
            ε, the variance where the standard deviation belongs; True gives that.

    Example:
        >>> import torch
        >>> truth, logits, eps = torch.tensor([4.0]), torch.zeros(1), torch.ones(1)
        >>> propagated(truth, logits, eps)
        tensor([4.])
        >>> propagated(truth, logits, eps, variance_as_deviation=True)
        tensor([6.])
    """
    mean, deviation = mask_moments(logits)
    if variance_as_deviation:
        return truth * mean + truth.square() * deviation.square() * eps
    return truth * mean + truth.abs() * deviation * eps
