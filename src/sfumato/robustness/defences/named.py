"""Defences by name, with the settings that a command line takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

from torch import nn

from sfumato.errors import SettingError
from sfumato.robustness.defences.adversarial import Adversarial
from sfumato.robustness.defences.agreement import ConsistencyLoss
from sfumato.robustness.defences.base import Defence
from sfumato.robustness.defences.bottleneck import vib
from sfumato.robustness.defences.entropy import se_snn
from sfumato.robustness.defences.trades import Trades
from sfumato.robustness.defences.undefended import plain
from sfumato.robustness.defences.weights import adv_bnn
from sfumato.robustness.smoothing.smoothed import Smoothed

Name = Literal[
    "plain", "se-snn", "vib", "adv-bnn", "pgd", "trades", "se-snn+pgd", "smoothing"
]  # fmt: skip


def defence(
    name: Name, model: nn.Module, attack: Adversarial, *, records: int, sigma: float = 0.25
) -> Defence:
    """The defence called `name`, with its usual settings.

    Args:
        name: `"plain"`, `"se-snn"`, `"vib"`, `"adv-bnn"`, `"pgd"`, `"trades"`, `"se-snn+pgd"` or
            `"smoothing"` (noise in front, trained for draws that agree).
        model: gives logits; a copy is changed where a defence changes it.
        attack: the adversarial training, where the defence has one.
        records: how many the model is trained on.
        sigma: scale of the noise of smoothing.

    Raises:
        SettingError: an unknown name, or a model that the defence cannot change.

    Example:
        >>> import sfumato as sf
        >>> model = sf.train.mlp((1, 8, 8), 10)
        >>> defence("se-snn+pgd", model, Adversarial(0.1), records=1000).name
        'SE-SNN + PGD'
    """
    if name not in get_args(Name):
        raise SettingError(f"unknown defence {name!r}: use {', '.join(get_args(Name))}")
    if name == "adv-bnn":
        return adv_bnn(model, records, attack)
    if name == "vib":
        return vib(model)
    if name == "smoothing":
        return Defence("smoothing, consistent", Smoothed(model, sigma), ConsistencyLoss())
    base = se_snn(model) if name.startswith("se-snn") else plain(model)
    if name == "trades":
        return base.against(_as_trades(attack))
    return base.against(replace(attack, attack="pgd")) if name.endswith("pgd") else base


def _as_trades(attack: Adversarial) -> Trades:
    same = ("epsilon", "steps", "step_size", "draws", "warm_up", "norm", "bounds")
    return Trades(**{name: getattr(attack, name) for name in same})
