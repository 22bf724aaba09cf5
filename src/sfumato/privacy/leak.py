"""The leak: what an attacker recovers of a record beyond what its label alone tells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from sfumato.errors import DataError
from sfumato.privacy.attacks.decoder import DecoderSettings, NetworkDecoder
from sfumato.privacy.attacks.wiener import LinearDecoder
from sfumato.privacy.knowledge import Knowledge, Mechanism
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
        linear: of the linear decoder.
        network: of the decoder network.
        steps: the optimiser steps that the network took.
        records: how many records were attacked.
        reconstruct: the strongest decoder: flat releases `[B, ...]`, labels -> records `[B, d]`.
        missed: its squared error of every attacked record, `[N]`.
        label_only: that of the class mean, `[N]`.
    """

    linear: float
    network: float
    steps: int
    records: int
    reconstruct: Reconstruct
    missed: Tensor
    label_only: Tensor

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
        linear = LinearDecoder(known)
        releases = known.draw(*target)
        network = NetworkDecoder(known, linear, settings or DecoderSettings(), seed, progress)
        decoders: list[Reconstruct] = [linear.reconstruct, network.reconstruct]
        records, labels = target[0].flatten(1), target[1]
        missed = [_squared(decode(releases, labels), records) for decode in decoders]
    label_only = _squared(known.class_means(known.inputs.flatten(1))[labels], records)
    plain, deep = (_gain(one, label_only) for one in missed)
    best = int(deep >= plain)
    return Leak(plain, deep, network.steps, len(records), decoders[best], missed[best], label_only)


def _squared(guess: Tensor, records: Tensor) -> Tensor:
    return (guess - records).square().sum(1)


def _gain(missed: Tensor, label_only: Tensor) -> float:
    tiny = torch.finfo(missed.dtype).tiny
    return float(1 - missed.sum() / label_only.sum().clamp(min=tiny))
