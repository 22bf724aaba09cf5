"""What `sf.fit` weighs: an objective by its name, or one of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from sfumato import objectives
from sfumato.errors import SettingError
from sfumato.nn import Recording
from sfumato.obfuscation.obfuscator import Obfuscator
from sfumato.objectives import Adversary, Emission, Objective, OnRecords

ObjectiveName: TypeAlias = Literal[
    "information", "full_information", "max_entropy", "wiener", "adversary"
]
OfEmission: TypeAlias = Callable[[Recording, Tensor], Tensor]
"""A function of what the layers emitted and of the labels."""


@final
@dataclass(frozen=True)
class Weighed:
    """An objective as the loop calls it, and what tells it from others in a checkpoint.

    Args:
        function: a function of the recording and the labels, or an `Objective`.
        tag: equal for equal objectives and settings.
    """

    function: OfEmission | Objective
    tag: str

    @classmethod
    def of(cls, objective: ObjectiveName | OfEmission | Objective, margin: float) -> Weighed:
        """From what `sf.fit` takes; `margin` is that of `"max_entropy"`, in nats.

        Raises:
            SettingError: the name is unknown.
        """
        if isinstance(objective, str):
            return cls(_by_name(objective, margin), objective)
        if isinstance(objective, Objective):
            config = sorted(objective.config().items())
            return cls(objective, f"{type(objective).__qualname__}{config}")
        if callable(objective):
            name = getattr(objective, "__qualname__", type(objective).__qualname__)
            return cls(objective, name)
        raise SettingError(
            f"an objective is a name, a function of (recording, labels) or a "
            f"sfumato.objectives.Objective, not {type(objective).__name__}"
        )

    def __call__(self, emission: Emission) -> Tensor:
        """Let it learn from the batch if it learns, then evaluate it."""
        if not isinstance(self.function, Objective):
            return self.function(emission.recording, emission.labels)
        self.function.step(emission)
        return self.function(emission)

    def prepare(self, inputs: Tensor, labels: Tensor, num_classes: int) -> None:
        """Before a step of the fit."""
        if isinstance(self.function, Objective):
            self.function.prepare(inputs, labels, num_classes)

    def kept_with(self, obfuscator: Obfuscator) -> nn.Module:
        """What goes into the checkpoint: the obfuscator, and the memory of the objective."""
        if isinstance(self.function, Objective) and self.function.stateful:
            return _Together(obfuscator, self.function)
        return obfuscator


@final
@dataclass(frozen=True, eq=False)
class InTraining:
    """An obfuscator as the records of a fit meet it, seeded and with gradients where wanted.

    Args:
        obfuscator: makes the releases.
        labelled: under the labels, as in step 1; or under the learned selection, whatever label
            is given, as in step 2.
    """

    obfuscator: Obfuscator
    labelled: bool

    def release(self, x: Tensor, labels: Tensor) -> Tensor:
        """One fresh release of each record."""
        with torch.no_grad():
            return self.obfuscator.obfuscate(x, labels if self.labelled else None)

    def distribution(self, x: Tensor, labels: Tensor) -> Distribution:
        """Its law."""
        return self.obfuscator.distribution(x, labels if self.labelled else None)


@final
class _Together(nn.Module):
    """The state of an obfuscator and of an objective in one."""

    def __init__(self, obfuscator: Obfuscator, objective: Objective) -> None:
        super().__init__()
        self.obfuscator, self.objective = obfuscator, objective

    def get_extra_state(self) -> dict[str, Any]:
        """The objective's memory."""
        return self.objective.state_dict()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Give it back."""
        self.objective.load_state_dict(state)


def _by_name(objective: str, margin: float) -> OfEmission | Objective:
    if objective == "max_entropy":
        return lambda emitted, _: objectives.max_entropy(emitted.log_scales, margin)
    if objective == "information":
        return _information
    if objective == "full_information":
        return OnRecords(_full_information)
    if objective == "wiener":
        return OnRecords(objectives.wiener_leak)
    if objective == "adversary":
        return Adversary()
    raise SettingError(
        f"unknown objective {objective!r}: use 'information', 'full_information', 'max_entropy', "
        "'wiener' or 'adversary'"
    )


def _information(emitted: Recording, labels: Tensor) -> Tensor:
    laws = emitted.distributions.values()
    return torch.stack([objectives.information(law, labels) for law in laws]).sum()


def _full_information(law: Distribution, _: Tensor, labels: Tensor) -> Tensor:
    return objectives.full_information(law, labels)
