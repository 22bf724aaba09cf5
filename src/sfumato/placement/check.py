"""What would happen if a model's layers were changed."""

from __future__ import annotations

from torch import nn

from sfumato.nn.base import GAUSSIAN
from sfumato.nn.bound import BoundLike
from sfumato.nn.weights.base import UNIT
from sfumato.nn.weights.estimators import Estimator
from sfumato.nn.weights.prior import PriorLike
from sfumato.noise import NoiseLaw
from sfumato.placement.finding import Finding
from sfumato.placement.plan import planned
from sfumato.placement.settings import Spec


def check(
    model: nn.Module,
    spec: Spec,
    *,
    noise: NoiseLaw = GAUSSIAN,
    bound: BoundLike = None,
    prior: PriorLike = UNIT,
    estimator: Estimator = "auto",
    scale: float | None = None,
) -> list[Finding]:
    r"""List what keeps `sfumato.convert` from changing the model so, and what comes with it.

    The arguments are those of `sfumato.convert`. The model is only looked at; functions in the spec
    are not called.

    Returns:
        Findings, the errors first: `sfumato.convert` works if there are none. Notes say what a
        pattern leaves as it is, and what a converted layer does differently. Each prints as one
        line.

    Raises:
        SettingError: `model` is no module, or `spec` is empty or no mapping from text.

    Example:
        >>> import torch, sfumato as sf
        >>> model = torch.nn.Sequential(torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 2))
        >>> print(*sf.check(model, {"0": "stochastic"}), sep="\n")
        error: 0 (BatchNorm1d) has no stochastic twin: use 'bayesian' or ...
        >>> sf.check(model, {"1": "stochastic"})
        []
    """
    usual = {"noise": noise, "bound": bound, "prior": prior, "estimator": estimator, "scale": scale}
    return planned(model, spec, usual).findings
