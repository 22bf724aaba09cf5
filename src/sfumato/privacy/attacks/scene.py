"""What an attack is given: everything but the draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from sfumato.data.records import Records
from sfumato.errors import DataError, SettingError
from sfumato.privacy.knowledge import Mechanism
from sfumato.train.seed import seeded


@final
@dataclass(frozen=True)
class Scene:
    """One obfuscator under attack: what the attacker knows, and what there is to find.

    Args:
        mechanism: what makes the releases; the attacker has it in full and may draw from it.
        auxiliary: the attacker's own records, none of them among `target`.
        target: the records that are attacked; their inputs are the secret, their labels public.
        seen: the releases of `target` that the attacker holds, `[N, ...]`; of several releases of
            each record their average, which is all that counts where the noise is Gaussian and its
            scale does not depend on the record.
        releases: K, how many releases of each record `seen` averages.
        model: the trained network that the releases feed, as an attacker may have it, or None.
        seed: of everything that an attack draws.
    """

    mechanism: Mechanism
    auxiliary: Records
    target: Records
    seen: Tensor
    releases: int = 1
    model: nn.Module | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not len(self.auxiliary) or not len(self.target):
            raise DataError("an attack needs auxiliary records and records to attack")
        if self.auxiliary.shape != self.target.shape:
            raise DataError(
                f"auxiliary records are {list(self.auxiliary.shape)}, attacked ones "
                f"{list(self.target.shape)}"
            )
        if len(self.seen) != len(self.target):
            raise DataError(f"{len(self.seen)} releases of {len(self.target)} records")
        if self.releases < 1:
            raise SettingError(f"releases must be at least 1, not {self.releases}")

    @classmethod
    def of(
        cls,
        mechanism: Mechanism,
        auxiliary: Records,
        target: Records,
        *,
        releases: int = 1,
        model: nn.Module | None = None,
        seed: int = 0,
    ) -> Scene:
        """The scene after `releases` fresh releases of every record of `target`."""
        with seeded(seed, "scene"):
            seen = average_of(mechanism, target.inputs, target.labels, releases)
        return cls(mechanism, auxiliary, target, seen, releases, model, seed)

    @property
    def num_classes(self) -> int:
        """The number of categories."""
        return max(self.auxiliary.num_classes, self.target.num_classes)

    def again(self, releases: int) -> Scene:
        """The same scene after another number of fresh releases."""
        return Scene.of(
            self.mechanism,
            self.auxiliary,
            self.target,
            releases=releases,
            model=self.model,
            seed=self.seed,
        )


@torch.no_grad()
def average_of(mechanism: Mechanism, inputs: Tensor, labels: Tensor, releases: int = 1) -> Tensor:
    """The average of K fresh releases of each record, `[N, ...]`, in batches."""
    parts = []
    for x, c in zip(inputs.split(512), labels.split(512), strict=True):
        total = mechanism.release(x, c)
        for _ in range(releases - 1):
            total = total + mechanism.release(x, c)
        parts.append(total / releases)
    return torch.cat(parts)
