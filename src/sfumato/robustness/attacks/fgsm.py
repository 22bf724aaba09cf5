"""The fast gradient (sign) method, by foolbox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor

from sfumato.robustness.attacks.base import Attack
from sfumato.robustness.attacks.bridge import ascend, foolbox_package
from sfumato.robustness.draws import ExpectedModel


@final
@dataclass(frozen=True, kw_only=True)
class FGSM(Attack):
    """One step of length ε along the gradient's sign, or for L2 along the gradient.

    Goodfellow et al. 2015; what spec 4 §4.2 calls FGS. By foolbox, on the expected loss over the
    draws. See `Attack` for the settings.

    Example:
        >>> import torch
        >>> from sfumato.robustness.attacks import FGSM
        >>> model = torch.nn.Linear(4, 3)
        >>> x = torch.rand(5, 4)
        >>> found = FGSM(epsilon=0.1)(model, x, torch.zeros(5, dtype=torch.long))
        >>> bool((found - x).abs().max() <= 0.1 + 1e-6)
        True
    """

    @property
    def name(self) -> str:
        return f"fgsm-{self.loss.replace('_', '-')}"

    def perturb(self, model: ExpectedModel, x: Tensor, labels: Tensor) -> Tensor:
        attacks = foolbox_package().attacks
        native = attacks.LinfFastGradientAttack() if self.norm == "linf" else (
            attacks.L2FastGradientAttack()
        )  # fmt: skip
        return ascend(native, model, x, labels, self.loss, self.epsilon, self.bounds)
