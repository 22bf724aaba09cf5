"""The expected loss of an attack and its gradient in the records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from sfumato.errors import SettingError
from sfumato.robustness.attacks.losses import loss_named, margin, over_draws
from sfumato.robustness.draws import ExpectedModel, averaged


class GradientError(SettingError):
    """The model gives no gradient for its input, which a first-order attack needs."""


@final
@dataclass(frozen=True)
class Slope:
    """What one pass over all draws tells.

    Args:
        value: the expected loss, `[B]`.
        gradient: of it, of the records' shape; NaN and infinities are 0.
        broken: whether the records are misclassified beyond the doubt that noise leaves, `[B]`.
    """

    value: Tensor
    gradient: Tensor
    broken: Tensor


def slope(model: ExpectedModel, x: Tensor, labels: Tensor, loss: str) -> Slope:
    """The expected loss at `x` and its gradient.

    With `average="loss"` it is 1/n Σ_d loss(z_d), the expected loss of a sampled prediction; with
    "logits" and "probabilities" it is the loss of the averaged prediction.

    Raises:
        GradientError: the model's output does not depend on its input in a differentiable way.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        sample = model.sample(x)
        value = expected_loss(sample, labels, loss, model)
        if not value.requires_grad:
            raise GradientError(_NO_GRADIENT)
        (gradient,) = torch.autograd.grad(value.sum(), x, allow_unused=True)
    if gradient is None:
        raise GradientError(_NO_GRADIENT)
    gradient = torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)
    return Slope(value.detach(), gradient, broken(sample.detach(), labels))


def expected_loss(sample: Tensor, labels: Tensor, loss: str, model: ExpectedModel) -> Tensor:
    """The loss `[B]` of the draws `[draws, B, C]`, averaged as `model.average` says."""
    function = loss_named(loss)
    if model.average == "loss":
        return over_draws(function, sample, labels).mean(0)
    return function(averaged(sample, model.average), labels)


def broken(sample: Tensor, labels: Tensor) -> Tensor:
    """Whether records are misclassified for certain: their margin is 3 deviations above 0.

    With one draw there is no deviation: the margin is above 0.
    """
    margins = over_draws(margin, sample, labels)
    if len(margins) == 1:
        return margins[0] > 0
    return margins.mean(0) > 3 * margins.std(0)


_NO_GRADIENT = (
    "the model gives no gradient for its input (it is not differentiable, or runs under no_grad): "
    "a first-order attack cannot run; use Square, which needs none, and Transfer"
)
