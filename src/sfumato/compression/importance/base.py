"""What a measure of importance is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Literal, TypeAlias

from torch import Tensor

from sfumato.compression.importance.scene import Scene

Normalise: TypeAlias = Literal["l2", "mean", "rank", "none"]


class Importance(ABC):
    """Abstract: how much a network would miss each of its neurons.

    A measure of your own is a class with one method, `score`. What it gives is then made
    comparable between layers: raw scores are not, and a network ranked by raw entropy loses
    neurons of its last layers alone. `normalise` says how:

    - `"l2"`: divided by the L2 norm of the layer's scores (Molchanov et al. 2017, §2.2),
    - `"mean"`: divided by the mean of the layer's absolute scores,
    - `"rank"`: the rank in the layer, in (0, 1],
    - `"none"`: as they are, for scores that are comparable.

    With `per_cost` the normalised score is divided by the share of all multiplications that go
    with the neuron: what costs much must be worth much. Scores must not be negative then.
    `sf.testing.ImportanceContract` tests a measure.
    """

    normalise: Normalise = "l2"
    per_cost: bool = False

    @abstractmethod
    def score(self, scene: Scene) -> Mapping[str, Tensor]:
        """The importance of every neuron, larger where it would be missed more.

        Args:
            scene: the network, its groups of neurons, and some training records.

        Returns:
            By the name of the group, scores `[size]`.

        Raises:
            SfumatoError: the network lacks what the measure needs; the message says what.
        """
