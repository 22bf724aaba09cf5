"""Carlini and Wagner's attack in L2, by foolbox, against a budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from sfumato.errors import SettingError
from sfumato.robustness.attacks.ball import Norm
from sfumato.robustness.attacks.base import Attack
from sfumato.robustness.attacks.bridge import foolbox_package, wrapped
from sfumato.robustness.attacks.gradient import slope
from sfumato.robustness.attacks.losses import Loss
from sfumato.robustness.draws import Average, ExpectedModel


@final
@dataclass(frozen=True, kw_only=True)
class CarliniWagner(Attack):
    """The smallest L2 perturbation that it finds, cut to the budget ε (Carlini and Wagner 2017).

    Minimises |x' - x|² + c (z_y - max_{j≠y} z_j + κ)⁺ by Adam, c by binary search. Its examples lie
    on the boundary of κ, where with κ = 0 fresh noise undoes them; so κ > 0 here, in logits, and
    what counts is the accuracy at the budget ε, not whether the search succeeded. A perturbation
    longer than ε is cut to it. See `Attack` for the other settings; the loss is always the margin.

    Args:
        confidence: κ.
        searches: of the constant c.
        steps: of Adam in each search.
        step: Adam's step size.
        initial: the c that the search begins with.

    Raises:
        SettingError: a norm other than "l2", a loss of another kind, or κ not above 0.

    Example:
        >>> import torch
        >>> from sfumato.robustness.attacks import CarliniWagner
        >>> attack = CarliniWagner(epsilon=1.0, steps=5, searches=2)
        >>> attack(torch.nn.Linear(4, 3), torch.rand(5, 4), torch.arange(5) % 3).shape
        torch.Size([5, 4])
    """

    norm: Norm = "l2"
    loss: Loss = "margin"
    average: Average = "logits"
    confidence: float = 1.0
    searches: int = 4
    steps: int = 60
    step: float = 0.05
    initial: float = 1.0

    norms: ClassVar[tuple[Norm, ...]] = ("l2",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.confidence > 0:
            raise SettingError(
                f"confidence must be above 0, not {self.confidence}: with 0 the examples lie on "
                "the boundary, and fresh noise undoes them"
            )
        if self.loss != "margin" or self.average == "loss":
            raise SettingError("Carlini-Wagner takes loss='margin' of averaged logits alone")
        if self.searches < 1:
            raise SettingError(f"searches must be at least 1, not {self.searches}")

    @property
    def name(self) -> str:
        return "carlini-wagner"

    def perturb(self, model: ExpectedModel, x: Tensor, labels: Tensor) -> Tensor:
        slope(model, x[:1], labels[:1], self.loss)  # foolbox would search without a gradient
        return self.ball.project(self.smallest(model, x, labels), x)

    def smallest(self, model: ExpectedModel, x: Tensor, labels: Tensor) -> Tensor:
        """What the search finds, of any length; `x` itself where it finds nothing."""
        native = foolbox_package().attacks.L2CarliniWagnerAttack(
            binary_search_steps=self.searches,
            steps=self.steps,
            stepsize=self.step,
            confidence=self.confidence,
            initial_const=self.initial,
        )
        attacked, criterion = wrapped(model, x, labels, self.bounds)
        with torch.enable_grad():
            found = native.run(attacked, x, criterion).detach()
        # Foolbox gives a record of zeros where it fails; that is also what a black picture is.
        failed = (found == 0).flatten(1).all(1)
        return torch.where(failed.view(-1, *(1,) * (x.dim() - 1)), x, found)
