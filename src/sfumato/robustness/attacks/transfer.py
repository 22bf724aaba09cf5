"""Adversarial examples of another network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, final

from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.robustness.attacks.base import Attack, Kind
from sfumato.robustness.attacks.losses import Loss
from sfumato.robustness.attacks.margin_pgd import MarginPGD
from sfumato.robustness.attacks.modes import attackable
from sfumato.robustness.draws import ExpectedModel


@final
@dataclass(frozen=True, kw_only=True)
class Transfer(Attack):
    """Margin ascent on a network without defence; what fools it is tried on the attacked model.

    It needs nothing of the attacked model, so that a model on which it does better than a
    first-order attack hides its gradient. It does not stop at the boundary of the other network:
    the larger the margin there, the better it carries over. See `Attack` for the other settings;
    `draws` are the other network's.

    Args:
        source: the undefended network, with the same records and classes.
        steps: of one restart.
        restarts: runs; the best point of all is kept.

    Raises:
        SettingError: `source` is not a module.

    Example:
        >>> import torch
        >>> from sfumato.robustness.attacks import Transfer
        >>> attack = Transfer(epsilon=0.1, source=torch.nn.Linear(4, 3), steps=5)
        >>> attack(torch.nn.Linear(4, 3), torch.rand(5, 4), torch.arange(5) % 3).shape
        torch.Size([5, 4])
    """

    loss: Loss = "margin"
    source: nn.Module = field(default_factory=nn.Identity, repr=False)
    steps: int = 40
    restarts: int = 1

    kind: ClassVar[Kind] = "transfer"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.source, nn.Module) or isinstance(self.source, nn.Identity):
            raise SettingError("Transfer needs source: an undefended network for these records")

    @property
    def name(self) -> str:
        return "transfer"

    def perturb(self, model: ExpectedModel, x: Tensor, labels: Tensor) -> Tensor:
        climb = MarginPGD(
            epsilon=self.epsilon,
            norm=self.norm,
            draws=self.draws,
            loss=self.loss,
            average=self.average,
            bounds=self.bounds,
            steps=self.steps,
            restarts=self.restarts,
            stop=False,
        )
        with attackable(self.source):
            source = ExpectedModel(
                self.source, self.draws, average=self.average, max_batch=self.max_batch
            )
            return climb.perturb(source, x, labels)
