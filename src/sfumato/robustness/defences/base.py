"""What every defence gives: a model and the loss to train it with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

from torch import nn

from sfumato.errors import SettingError
from sfumato.nn.base import StochasticModule
from sfumato.placement.convert import convert
from sfumato.placement.twins import KERNELS, torch_type
from sfumato.robustness.defences.adversarial import Adversarial
from sfumato.robustness.defences.trades import Trades
from sfumato.train.loop import BatchLoss, cross_entropy


@final
@dataclass(frozen=True)
class Defence:
    """A model and the loss that makes a defence of it.

    Train it with `sf.train.train_classifier(d.model, inputs, labels, recipe, seed=0, loss=d.loss)`.

    Args:
        name: what tables and reports call it.
        model: takes `[B, ...]`, gives logits `[B, C]`; not trained yet.
        loss: to train it with.
    """

    name: str
    model: nn.Module
    loss: BatchLoss = cross_entropy

    def against(self, attack: Adversarial | Trades) -> Defence:
        """The same model, trained adversarially as well.

        Args:
            attack: how; its own task gives way to this defence's loss.

        Raises:
            SettingError: it is trained adversarially already.
        """
        if isinstance(self.loss, Adversarial | Trades):
            raise SettingError(f"{self.name} is trained adversarially already")
        kind = "TRADES" if isinstance(attack, Trades) else attack.attack.upper()
        return replace(self, name=f"{self.name} + {kind}", loss=replace(attack, task=self.loss))


def one_stochastic(
    model: nn.Module, layer: str | None, *, scale: float | None = None
) -> tuple[nn.Module, StochasticModule]:
    """A copy of `model` with one stochastic layer, and that layer.

    Args:
        model: with linear layers or convolutions.
        layer: the layer's name; the last hidden one when None.
        scale: where its scale starts for every input; a kernel as random as the location's when
            None.

    Raises:
        SettingError: there is no such layer, or it is no linear layer or convolution.
    """
    name = last_hidden(model) if layer is None else layer
    made: list[StochasticModule] = []

    def make(module: nn.Module) -> nn.Module:
        kind = KERNELS.get(torch_type(module))
        if kind is None:
            raise SettingError(
                f"{name} is a {type(module).__name__}: name a linear layer or a convolution"
            )
        made.append(kind.from_module(module, scale=scale))
        return made[0]

    return convert(model, {name: make}), made[0]


def last_hidden(model: nn.Module) -> str:
    """The name of the last linear layer or convolution before the one that gives the logits.

    Raises:
        SettingError: there is none.
    """
    names = [name for name, module in model.named_modules() if torch_type(module) in KERNELS]
    if len(names) < 2:
        raise SettingError(
            "the model has no hidden linear layer or convolution to make stochastic: name one "
            "with layer=, or give a deeper model"
        )
    return names[-2]
