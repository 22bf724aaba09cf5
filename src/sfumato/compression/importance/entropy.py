"""How noisy the network lets a neuron be (spec 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from sfumato.compression.counting import evaluating
from sfumato.compression.importance.base import Importance, Normalise
from sfumato.compression.importance.scene import Scene
from sfumato.compression.kernels import STOCHASTIC
from sfumato.errors import SettingError
from sfumato.nn.record import record


@final
@dataclass(frozen=True)
class Entropy(Importance):
    """1 / σ of a neuron, σ averaged geometrically over records and positions (spec 4 §4.1).

    Under max-entropy a neuron that matters pays to keep its noise low; one of high entropy,
    log σ + const, is not missed. exp(-mean log σ) ranks the neurons of a layer as their entropy
    does, and a factor common to a layer's σ cancels when it is normalised. A neuron that several
    stochastic layers make has the sum of theirs.

    Args:
        normalise: how layers are made comparable.
        per_cost: importance for each multiplication saved.
        batch_size: records at a time.
    """

    normalise: Normalise = "l2"
    per_cost: bool = False
    batch_size: int = 1024

    def score(self, scene: Scene) -> dict[str, Tensor]:
        """Scores of all neurons, above 0.

        Raises:
            SettingError: a group of neurons is made by plain layers alone.
        """
        logs = self._log_scales(scene)
        found: dict[str, Tensor] = {}
        for name, size in scene.wiring.sizes.items():
            axes = [axis for axis in scene.wiring.makes(name) if axis.module in logs]
            if not axes:
                raise SettingError(
                    f"the neurons of {name!r} have no entropy, no stochastic layer makes them: "
                    f"use sf.compression.stochastic(model), or keep=[{name!r}] (--keep {name})"
                )
            number = scene.wiring.number(name)
            parts = [
                axis.summed((-logs[axis.module]).exp(), number, size)
                / axis.counted(number, size).clamp(min=1)
                for axis in axes
            ]
            found[name] = torch.stack(parts).sum(0)
        return found

    @torch.no_grad()
    def _log_scales(self, scene: Scene) -> dict[str, Tensor]:
        """By stochastic layer, the mean log σ of its neurons, `[outputs]`."""
        modules = dict(scene.model.named_modules())
        totals: dict[str, Tensor] = {}
        for x in scene.inputs.split(self.batch_size):
            with evaluating(scene.model), record(scene.model) as emitted:
                scene.model(x)
            for name, log_scale in emitted.log_scales.items():
                layer = modules.get(name, scene.model)
                if not isinstance(layer, STOCHASTIC):
                    continue
                axis = log_scale.dim() + layer.operator.channel_axis
                mean = log_scale.movedim(axis, 0).flatten(1).mean(1).cpu()
                totals[name] = totals.get(name, torch.zeros(())) + mean * len(x)
        return {name: total / len(scene.inputs) for name, total in totals.items()}
