"""What all laws of label noise share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from sfumato.label_noise.checks import check_labels, check_records, check_share
from sfumato.label_noise.noise.noisy import NoisyLabels
from sfumato.train.seed import seeded


@dataclass(frozen=True)
class LabelNoise(ABC):
    """Abstract: which label is exchanged, how often and by which other.

    A law of your own is a frozen dataclass with JSON fields and the method `_draw`.

    Args:
        probability: the probability p that a label is exchanged, in [0, 1].

    Raises:
        SettingError: p lies outside of [0, 1].
    """

    probability: float

    def __post_init__(self) -> None:
        check_share("the probability of a wrong label", self.probability)

    def corrupt(
        self,
        labels: Tensor,
        inputs: Tensor | None = None,
        *,
        seed: int,
        classes: int | None = None,
    ) -> NoisyLabels:
        """Exchange some of the labels.

        The global random state of torch is left as it was; equal arguments give equal labels.

        Args:
            labels: the clean labels `[N]`, int64.
            inputs: the records `[N, ...]`; needed where the noise depends on them.
            seed: of this run: the pattern of the flips and which records they hit.
            classes: how many classes there are; by default one more than the largest label.

        Returns:
            The labels as given, the clean ones, and the law between them.

        Raises:
            DataError: labels that are no whole numbers or of one class, another number of records
                than of labels, NaN in the records, or no records where they are needed.
        """
        count = check_labels(labels, classes)
        if inputs is not None:
            check_records(inputs, labels)
        clean = labels.detach().cpu().long()
        with seeded(seed, "label noise", self.name):
            drawn, matrix, pattern = self._draw(clean, inputs, count)
        return NoisyLabels(drawn, clean, matrix, pattern, self.settings, seed)

    @property
    def name(self) -> str:
        """The law's name in files."""
        return type(self).__name__

    @property
    def settings(self) -> dict[str, Any]:
        """The law's name and arguments, as JSON values."""
        return {"law": self.name, **asdict(self)}

    @abstractmethod
    def _draw(
        self, clean: Tensor, inputs: Tensor | None, classes: int
    ) -> tuple[Tensor, Tensor, tuple[int, ...] | None]:
        """Noisy labels `[N]`, the matrix `[C, C]` of float64, and the pattern or None."""


def flip(clean: Tensor, targets: Tensor, probability: float) -> Tensor:
    """Give each record its target `[N]` with the probability p, else its own label."""
    return torch.where(torch.rand(len(clean)) < probability, targets, clean)
