"""Features of pictures on the mean path, and whom they find."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sfumato.label_noise.outputs import evaluating
from sfumato.label_noise.reidentification.identities import Identities
from sfumato.label_noise.reidentification.network import ReidentificationNetwork
from sfumato.label_noise.reidentification.retrieval import RANKS, Retrieval, retrieval
from sfumato.label_noise.reidentification.split import ReidentificationSplit

BATCH = 256


def embed(
    network: ReidentificationNetwork, data: Identities | Tensor, *, batch_size: int = BATCH
) -> Tensor:
    """Features `[N, D]` of pictures, on the mean path and in evaluation mode.

    Args:
        network: from `train_reidentification`.
        data: pictures.
        batch_size: pictures at a time.

    Returns:
        The features, float32.
    """
    inputs = data.inputs if isinstance(data, Identities) else data
    with evaluating(network):
        return torch.cat([network.embed(some) for some in inputs.split(batch_size)]).float()


def reidentify(
    network: ReidentificationNetwork,
    split: ReidentificationSplit,
    *,
    ranks: Sequence[int] = RANKS,
    batch_size: int = BATCH,
) -> Retrieval:
    """Find the queries of a split in its gallery, by the Euclidean distance of features.

    Args:
        network: from `train_reidentification`.
        split: only its query and gallery are looked at.
        ranks: the k of CMC.
        batch_size: pictures at a time.

    Returns:
        Mean average precision and CMC.
    """
    asked = embed(network, split.query, batch_size=batch_size).double()
    known = embed(network, split.gallery, batch_size=batch_size).double()
    # |a|² - 2ab + |b|² rounds small distances away, where what all features share is large
    shared = known.mean(0)
    asked, known = asked - shared, known - shared
    return retrieval(torch.cdist(asked, known), split.query, split.gallery, ranks)
