"""Deep VIB: a stochastic layer held near a fixed law."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from sfumato.errors import SettingError
from sfumato.nn.kernels import KernelLayer
from sfumato.nn.record import record
from sfumato.robustness.defences.base import Defence, one_stochastic
from sfumato.train.loop import Batch, BatchLoss, cross_entropy


@final
@dataclass(frozen=True)
class BottleneckLoss:
    """The task's loss + β · KL(p(z|x) || N(0, 1)) (Alemi et al. 2017, eq. 17).

    The divergence is summed over the neurons of all stochastic layers and averaged over records.

    Args:
        beta: β, per nat.
        task: the loss that the network is trained for.

    Raises:
        SettingError: a negative β; at a call, a model without stochastic layers, or with a law of
            numbers instead of values.
    """

    beta: float
    task: BatchLoss = cross_entropy

    def __post_init__(self) -> None:
        if not self.beta >= 0:
            raise SettingError(f"beta must be at least 0, not {self.beta}")

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """The loss of one batch, a scalar."""
        with record(model) as emitted:
            loss = self.task(model, batch)
        laws = emitted.distributions
        if not laws:
            raise SettingError("a bottleneck needs a stochastic layer: make one with sf.convert")
        unit = Normal(0.0, 1.0, validate_args=False)
        try:
            parts = [kl_divergence(law, unit).sum() for law in laws.values()]
        except NotImplementedError as error:
            raise SettingError(
                "a bottleneck needs layers with a Gaussian or Laplace law, whose divergence from "
                "N(0, 1) is known"
            ) from error
        return loss + self.beta * torch.stack(parts).sum() / len(batch.x)


def vib(model: nn.Module, layer: str | None = None, *, beta: float = 1e-3) -> Defence:
    """Deep VIB, the deep variational information bottleneck (Alemi et al. 2017).

    The raw scale starts 5 below the random one, so that noise starts small, as public
    implementations have it. Where an activation follows the layer, it follows the sample; the
    paper has none there.

    Args:
        model: with linear layers or convolutions; it is copied.
        layer: the layer's name; the last hidden one when None.
        beta: β, per nat.

    Raises:
        SettingError: there is no such layer, or a negative β.
    """
    made, bottleneck = one_stochastic(model, layer)
    if isinstance(bottleneck, KernelLayer) and bottleneck.bias is not None:
        with torch.no_grad():
            bottleneck.bias[bottleneck.operator.outputs :] -= 5.0
    return Defence("Deep VIB", made, BottleneckLoss(beta))
