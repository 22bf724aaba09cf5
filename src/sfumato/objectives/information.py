"""A bound on the information that a release carries: location against scale."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution


def information(law: Distribution, labels: Tensor | None = None) -> Tensor:
    """An upper bound on what a release tells of its record, in nats; smaller hides more.

    For one element of the release, h = sample of `law(x)` has variance Var[mean] + E[variance],
    and no law of that variance has more entropy than the Gaussian, so

        I(x; h) ≤ ½ log 2πe (Var_x[mean] + E_x[variance]) - E_x[entropy of law(x)].

    It is invariant to a common scaling of location and scale, so growing the location cannot
    satisfy it, which is how a network escapes `max_entropy`. With `labels` the variance is taken
    within the classes, I(x; h | c): what the release tells beyond its label.

    The sum over elements bounds the information of the whole release (elements of a picture tell
    the same thing twice, so it is generous to the attacker). Over a batch it is an estimate of
    the bound, from below where a class has few records: the logarithm of an estimated variance
    is small on average, by about 1 / (number of records of the class) nats an element. The
    variance is estimated with N - 1, and classes with a single record are left out.

    Args:
        law: the law of a batch of samples, `[N, ...]`, from `layer.distribution` or `sf.record`.
        labels: `[N]`, or None for the information including the label's.

    Returns:
        A scalar: the sum over the elements of a record.
    """
    mean = law.mean.flatten(1)
    variance = law.variance.flatten(1)
    if labels is None:
        # A batch of one record, the last of an epoch for instance, has no spread to learn from.
        spread = mean.var(0, keepdim=True) if len(mean) > 1 else torch.zeros_like(mean)
        noise, entropy = variance.mean(0, keepdim=True), law.entropy().flatten(1).mean(0)
        return (0.5 * torch.log(2 * math.pi * math.e * (spread + noise)) - entropy).sum()
    member = F.one_hot(labels, int(labels.max()) + 1).to(mean.dtype)  # [N, C]
    count = member.sum(0)
    # One record has no spread: classes seen once would count as fully hidden.
    member, count = member[:, count >= 2], count[count >= 2].unsqueeze(1)
    if not len(count):
        return information(law)
    centre = (member.T @ mean) / count
    deviation = (mean - member @ centre).square()
    spread = (member.T @ deviation) / (count - 1)
    noise = (member.T @ variance) / count
    entropy = (member.T @ law.entropy().flatten(1)) / count
    bound = 0.5 * torch.log(2 * math.pi * math.e * (spread + noise)) - entropy
    return ((count / count.sum()) * bound).sum()
