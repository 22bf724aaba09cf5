"""Training a gated network: the task's loss and the information that passes its gates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor, nn

from sfumato.compression.gates.gate import VIBGate
from sfumato.errors import SettingError
from sfumato.train.loop import Batch, BatchLoss, cross_entropy


@final
@dataclass(frozen=True)
class VIBLoss:
    """The task's loss + weight · Σ_l γ_l · KL_l over the gates (Dai et al. 2018).

    KL_l is `VIBGate.kl`: Σ_j ½ log(1 + μ_j²/σ_j²), times H x W for a convolution.

    Args:
        weight: of all divergences; for a mean over records, of the order of 1 / (their number).
        task: the loss that the network is trained for.
        layers: γ_l by the name of the layer before the gate; 1 where a layer is not named.

    Raises:
        SettingError: a negative weight; at a call, a model without gates, or a layer without one.

    Example:
        >>> import torch, sfumato as sf
        >>> from sfumato.compression.gates import VIBLoss, gated
        >>> from sfumato.train import Batch, mlp
        >>> network = gated(mlp((4,), 2, (8,)), (4,))
        >>> batch = Batch(torch.rand(3, 4), torch.tensor([0, 1, 1]), torch.arange(3), 0.0)
        >>> VIBLoss(1e-3)(network, batch).dim()
        0
    """

    weight: float
    task: BatchLoss = cross_entropy
    layers: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for weight in (self.weight, *self.layers.values()):
            if not 0 <= weight < float("inf"):
                raise SettingError(f"the weight of a divergence must be at least 0, not {weight}")

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """The loss of one batch, a scalar."""
        gates = gates_of(model)
        if not gates:
            raise SettingError(
                "VIBLoss needs a network with gates: sfumato.compression.gates.gated(model, "
                "input_shape)"
            )
        unknown = [name for name in self.layers if name not in gates]
        if unknown:
            raise SettingError(f"there is no gate after {unknown[0]}, but after {', '.join(gates)}")
        divergence = [self.layers.get(name, 1.0) * gate.kl() for name, gate in gates.items()]
        return self.task(model, batch) + self.weight * torch.stack(divergence).sum()


def gates_of(model: nn.Module) -> dict[str, VIBGate]:
    """The gates of a network, by the name of the layer before them."""
    layers: Mapping[str, str] = getattr(model, "gated_layers", {})
    inside = {name: part for name, part in model.named_modules() if isinstance(part, VIBGate)}
    return {layers.get(name.rpartition(".")[2], name): gate for name, gate in inside.items()}
