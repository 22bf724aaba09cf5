"""Label noise in feature space: a person is taken for the one who looks most alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from sfumato.errors import DataError
from sfumato.label_noise.noise.base import LabelNoise

_ROWS = 512


@final
@dataclass(frozen=True)
class SimilarIdentities(LabelNoise):
    """Randomly chosen pictures get the identity of the most similar picture of another identity.

    Spec 4 §4.3, as it imitates the errors of people who annotate: with features f of a network
    that was trained on the clean labels, the label of a chosen picture i becomes that of
    argmin_j ‖f_i - f_j‖ over all j of another identity. Exactly the share p of the pictures,
    rounded, is chosen.

    `corrupt` takes the features `[N, D]` as its inputs. The matrix of the result holds, for each
    identity, how often its pictures are taken for each other one.

    Args:
        probability: p, the share of the labels that are exchanged.

    Example:
        >>> import torch
        >>> labels = torch.tensor([0, 0, 1, 1])
        >>> features = torch.tensor([[0.0], [1.0], [2.0], [9.0]])
        >>> SimilarIdentities(1.0).corrupt(labels, features, seed=0).labels
        tensor([1, 1, 0, 0])
    """

    def _draw(
        self, clean: Tensor, inputs: Tensor | None, classes: int
    ) -> tuple[Tensor, Tensor, None]:
        if inputs is None:
            raise DataError(
                "noise among similar identities needs features [N, D] of a network that was "
                "trained on the clean labels: give them as inputs"
            )
        alike = most_alike(inputs.detach().cpu().flatten(1), clean)
        chosen = torch.randperm(len(clean))[: round(self.probability * len(clean))]
        drawn = clean.clone()
        drawn[chosen] = clean[alike[chosen]]
        matrix = torch.eye(classes, dtype=torch.float64) * (1 - self.probability)
        size = clean.bincount(minlength=classes).clamp(min=1)
        part = (self.probability / size[clean]).double()
        matrix.index_put_((clean, clean[alike]), part, accumulate=True)
        empty = torch.arange(classes)[clean.bincount(minlength=classes) == 0]
        matrix[empty, empty] = 1.0
        return drawn, matrix, None


def most_alike(features: Tensor, labels: Tensor) -> Tensor:
    """The nearest record of another label, by Euclidean distance, for each record.

    Args:
        features: `[N, D]`.
        labels: `[N]`.

    Returns:
        Record numbers `[N]`; of equally near ones the first.

    Raises:
        DataError: all records have one label.
    """
    if bool((labels == labels[0]).all()):
        raise DataError("all records have one label: there is none of another to be taken for")
    found = []
    for some, own in zip(features.split(_ROWS), labels.split(_ROWS), strict=True):
        # Differences themselves, not |a|² - 2ab + |b|², which rounds small distances away.
        distances = torch.cdist(some, features, compute_mode="donot_use_mm_for_euclid_dist")
        distances[own[:, None] == labels[None]] = float("inf")
        found.append(distances.argmin(1))
    return torch.cat(found)
