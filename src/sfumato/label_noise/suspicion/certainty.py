"""The records that the stochastic layers are most and least certain of (spec 4, fig. 3c)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.label_noise.outputs import log_spread


@final
@dataclass(frozen=True, eq=False)
class Certainty:
    """Records by the spread of their noise.

    Args:
        most: record numbers `[k]`, the smallest spread first.
        least: record numbers `[k]`, the largest spread first.
        log_scale: the mean log σ of every record `[N]`, in nats.
    """

    most: Tensor
    least: Tensor
    log_scale: Tensor


def certainty(
    model: nn.Module, inputs: Tensor, count: int = 10, batch_size: int = 1024
) -> Certainty:
    """The records with the least and with the most noise, by the mean log σ of all layers.

    Args:
        model: a network with stochastic layers.
        inputs: records `[N, ...]`.
        count: how many of each, at least 1; no more than there are records.
        batch_size: records at a time.

    Raises:
        DataError: there are no records, or the spread of one is NaN.
        SettingError: no stochastic layer, or a count below 1.
    """
    if count < 1:
        raise SettingError(f"count must be at least 1, not {count}")
    spread = log_spread(model, inputs, batch_size).cpu()
    order = spread.argsort(stable=True)
    return Certainty(order[:count], order.flip(0)[:count], spread)
