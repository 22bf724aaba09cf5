"""The leak: what an attacker recovers of a record beyond what its label alone tells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from sfumato.errors import DataError
from sfumato.privacy.knowledge import Knowledge, Mechanism
from sfumato.privacy.linear import LinearDecoder
from sfumato.privacy.network import DecoderSettings, NetworkDecoder
from sfumato.train.loop import Progress, silent
from sfumato.train.seed import seeded

Reconstruct = Callable[[Tensor, Tensor], Tensor]


@final
@dataclass(frozen=True)
class Leak:
    """1 - (squared error of the decoder) / (squared error of the class mean), on held-out records.

    0: the releases tell no more than the label. 1: the records are recovered whole. It can be a
    little below 0 where there is nothing to find.

    Args:
        linear: of the better of the two linear decoders.
        network: of the decoder network.
        steps: the optimiser steps that the network took.
        records: how many records were attacked.
        reconstruct: the strongest decoder: flat releases `[B, ...]`, labels -> records `[B, d]`.
    """

    linear: float
    network: float
    steps: int
    records: int
    reconstruct: Reconstruct

    @property
    def strongest(self) -> float:
        """The leak under the strongest attacker."""
        return max(self.linear, self.network)


def measure_leak(
    mechanisms: Mechanism | Sequence[Mechanism],
    auxiliary: tuple[Tensor, Tensor],
    target: tuple[Tensor, Tensor],
    num_classes: int,
    *,
    settings: DecoderSettings | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Leak:
    """Attack fresh releases of `target` with decoders made from `auxiliary` records.

    The attacker knows the mechanism in full, the labels and the data's distribution; all but the
    draw. Several mechanisms are several releases of each record.

    Args:
        mechanisms: what makes the releases, for example an `Obfuscator`.
        auxiliary: records `[N, ...]` and labels `[N]` that the attacker has.
        target: records and labels that are attacked, none of them among `auxiliary`.
        num_classes: number of classes.
        settings: the budget of the decoder network.
        seed: of draws and decoder.
        progress: called at every look of the decoder network at its validation error.

    Raises:
        DataError: a part is empty, or record shapes differ.
    """
    listed = list(mechanisms) if isinstance(mechanisms, Sequence) else [mechanisms]
    if not len(auxiliary[0]) or not len(target[0]) or not listed:
        raise DataError("the leak needs a mechanism, auxiliary records and records to attack")
    if auxiliary[0].shape[1:] != target[0].shape[1:]:
        raise DataError(
            f"auxiliary records are {list(auxiliary[0].shape[1:])}, attacked ones "
            f"{list(target[0].shape[1:])}"
        )
    known = Knowledge(*auxiliary, num_classes, listed)
    with seeded(seed, "leak"):
        linears = [LinearDecoder(known, pooled=pooled) for pooled in (True, False)]
        releases = known.draw(*target)
        leaks = [_gain(known, decoder.reconstruct, releases, target) for decoder in linears]
        start = linears[0] if leaks[0] >= leaks[1] else linears[1]
        network = NetworkDecoder(known, start, settings or DecoderSettings(), seed, progress)
        deep = _gain(known, network.reconstruct, releases, target)
    best: Reconstruct = network.reconstruct if deep >= max(leaks) else start.reconstruct
    return Leak(max(leaks), deep, network.steps, len(target[0]), best)


def _gain(
    known: Knowledge, reconstruct: Reconstruct, releases: Tensor, target: tuple[Tensor, Tensor]
) -> float:
    records, labels = target[0].flatten(1), target[1]
    means = known.class_means(known.inputs.flatten(1))
    error = (reconstruct(releases, labels) - records).square().sum()
    label_only = (means[labels] - records).square().sum()
    return float(1 - error / label_only.clamp(min=torch.finfo(error.dtype).tiny))
