"""The bound on a release's information that knows how its elements hang together."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Distribution

from sfumato.errors import DataError
from sfumato.objectives.moments import entropy, moments, whitened
from sfumato.objectives.within import within_class


def full_information(law: Distribution, labels: Tensor | None = None) -> Tensor:
    """An upper bound on what a whole release tells of its record, in nats; smaller hides more.

    As `information`, but with the full covariance of the releases instead of its diagonal, so that
    neighbouring pixels which tell the same thing count once:

        I(x; y | c) ≤ ½ log det 2πe (C_y + S̄) - E[entropy of law(x)],

    which for Gaussian noise is ½ log det(C_y + S̄) - E Σ log s (Gaussian maximum entropy; Cover and
    Thomas, theorem 8.6.5). C_y is the covariance of the locations within the classes, pooled, and
    S̄ the mean covariance of the noise; pooling only raises the bound, since log det is concave.
    By the determinant lemma, log det(C_y + S̄) = log det S̄ + log det(I + Y Yᵀ) with an N × N
    matrix, so that a batch of 128 records costs little whatever their size.

    From few records it is estimated too small, since they span few directions; `OnRecords`
    evaluates it on more records than a batch has. The covariance is estimated with N less the
    number of classes.

    Args:
        law: the law of a batch of releases, `[N, ...]`.
        labels: `[N]`, or None for the information including the label's.

    Returns:
        A scalar.

    Raises:
        DataError: no more records than classes.
    """
    location, noise = moments(law)
    freedom = len(location) - (1 if labels is None else len(labels.unique()))
    if freedom < 1:
        raise DataError(f"{len(location)} records are too few for a covariance within classes")
    noise = noise.double()
    y = whitened(within_class(location.double(), labels), noise) / freedom**0.5
    gram = y @ y.T if len(y) <= y.shape[1] else y.T @ y
    eye = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    spread = torch.linalg.cholesky(gram + eye).diagonal().log().sum()
    level = 0.5 * (math.log(2 * math.pi * math.e) * y.shape[1] + _log_det(noise))
    return (spread + level).to(location.dtype) - entropy(law)


def _log_det(noise: Tensor) -> Tensor:
    """Of variances or of a covariance."""
    if noise.dim() == 1:
        return noise.log().sum()
    return 2 * torch.linalg.cholesky(noise).diagonal().log().sum()
