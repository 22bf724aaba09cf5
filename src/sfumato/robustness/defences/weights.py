"""Bayesian weights, to be trained adversarially."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.nn.record import record
from sfumato.nn.weights.prior import GaussianPrior, PriorLike
from sfumato.placement.convert import convert
from sfumato.robustness.defences.adversarial import Adversarial
from sfumato.robustness.defences.base import Defence
from sfumato.train.loop import Batch, BatchLoss, cross_entropy

PRIOR = GaussianPrior(0.15)


@final
@dataclass(frozen=True)
class WeightDivergenceLoss:
    """The task's loss + α / N · KL(q(w) || prior), the negative evidence bound per record.

    Args:
        records: N, how many records the network is trained on.
        alpha: α; below 1 the posterior is colder than Bayes' rule says.
        task: the loss that the network is trained for.

    Raises:
        SettingError: N below 1 or a negative α; at a call, a model without Bayesian layers.
    """

    records: int
    alpha: float = 1.0
    task: BatchLoss = cross_entropy

    def __post_init__(self) -> None:
        if self.records < 1 or not self.alpha >= 0:
            raise SettingError(
                f"records must be at least 1 and alpha at least 0, not {self.records}, {self.alpha}"
            )

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """The loss of one batch, a scalar."""
        with record(model) as emitted:
            loss = self.task(model, batch)
        divergence = emitted.kl
        if not divergence.requires_grad:
            raise SettingError(
                'a Bayesian loss needs Bayesian layers: make them with sf.convert(model, {"*": '
                '"bayesian"})'
            )
        return loss + self.alpha / self.records * divergence


def adv_bnn(
    model: nn.Module,
    records: int,
    attack: Adversarial,
    *,
    alpha: float = 0.02,
    prior: PriorLike = PRIOR,
    scale: float | None = None,
) -> Defence:
    """Every weight drawn, trained adversarially (Adv-BNN, Liu et al. 2019, eq. 8).

    Args:
        model: it is copied, and every layer with weights becomes Bayesian.
        records: N, how many records it is trained on.
        attack: the adversarial training; its own task gives way.
        alpha: α on the divergence from the prior.
        prior: of all weights.
        scale: where the weights' scales start; about a tenth of their size when None.

    Raises:
        SettingError: N below 1, or layers that cannot become Bayesian.
    """
    made = convert(model, {"*": "bayesian"}, prior=prior, scale=scale)
    plain = Defence("Adv-BNN", made, WeightDivergenceLoss(records, alpha))
    return Defence("Adv-BNN", made, plain.against(attack).loss)
