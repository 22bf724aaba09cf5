"""Importance for a power of the cost: between none of it and all of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from sfumato.compression import Importance, Scene, Taylor
from sfumato.compression.importance import Normalise
from sfumato.compression.importance.ranking import normalised
from sfumato.compression.wiring import Costs


@dataclass(frozen=True)
class Balanced(Importance):
    """A measure, normalised in each layer, divided by multiplications to a power.

    `per_cost` is the power 1, by which a first convolution of large maps goes before anything else.

    Args:
        base: the measure, whose scores are not negative.
        power: of the multiplications that go with a neuron.
        normalise: none further.
    """

    base: Importance = field(default_factory=Taylor)
    power: float = 0.5
    normalise: Normalise = "none"

    def score(self, scene: Scene) -> dict[str, Tensor]:
        """By group, scores `[size]`."""
        costs = Costs(scene.model, scene.inputs).by_neuron(scene.model, scene.wiring)
        scores = self.base.score(scene)
        return {
            name: normalised(values.double().cpu(), self.base.normalise)
            / costs[name].double().clamp(min=1) ** self.power
            for name, values in scores.items()
        }
