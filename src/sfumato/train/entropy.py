"""Training a network with stochastic layers as spec 4 does: a task's loss and max-entropy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.nn.record import record
from sfumato.objectives import max_entropy
from sfumato.objectives.max_entropy import Over
from sfumato.train.loop import Batch, BatchLoss, cross_entropy


@final
@dataclass(frozen=True)
class MaxEntropyLoss:
    """The task's loss + ω · Ω, with Ω summed over all stochastic layers (spec 4, eq. 5-7).

    Args:
        weight: ω. Spec 4 takes 1e-4 for pruning, 0.1 for adversarial defence and 1e-2 for label
            noise.
        margin: b in nats. Where spec 4 says 4 or 16, its appendix B.1 says log 4 and log 16.
        over: `"neuron"` for pruning (eq. 5), `"sample"` for label noise (eq. 6), `"element"` for
            adversarial defence (eq. 7).
        task: the loss that the network is trained for.

    Raises:
        SettingError: a negative weight; at a call, a model without stochastic layers.
    """

    weight: float
    margin: float
    over: Over
    task: BatchLoss = cross_entropy

    def __post_init__(self) -> None:
        if not self.weight >= 0:
            raise SettingError(f"the weight of max-entropy must be at least 0, not {self.weight}")

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """The loss of one batch, a scalar."""
        with record(model) as emitted:
            loss = self.task(model, batch)
        log_scales = {
            name: _neurons_second(model.get_submodule(name), each)
            for name, each in emitted.log_scales.items()
        }
        if not log_scales:
            raise SettingError(
                "max-entropy needs a network with stochastic layers: make some of its layers "
                'stochastic with sf.convert(model, {"0": "stochastic"})'
            )
        return loss + self.weight * max_entropy(log_scales, self.margin, self.over)


def _neurons_second(layer: nn.Module, log_scale: Tensor) -> Tensor:
    """With the layer's neurons on axis 1, as of a convolution; `[B, T, K]` of a linear layer."""
    operator = getattr(layer, "operator", None)
    if operator is None or log_scale.dim() < 3:
        return log_scale
    return log_scale.movedim(operator.channel_axis, 1)
