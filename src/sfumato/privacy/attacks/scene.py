"""What an attack is given: everything but the draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from sfumato.data.records import Records
from sfumato.errors import DataError, SettingError
from sfumato.privacy.attacks.several import Kept, kept_of, summarised
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
        spread: the logarithm of the unbiased sample variance of the K releases, element by element,
            `[N, ...]`. `Scene.of` makes it where K is above 1 and the scale depends on the record,
            or the law of a release is not known; else None.
        median: the median of the K releases, `[N, ...]`. `Scene.of` makes it where K is above 2 and
            the law is not Gaussian, or not known; else None.
    """

    mechanism: Mechanism
    auxiliary: Records
    target: Records
    seen: Tensor
    releases: int = 1
    model: nn.Module | None = None
    seed: int = 0
    spread: Tensor | None = None
    median: Tensor | None = None

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
        for name, part in (("spread", self.spread), ("median", self.median)):
            if part is not None and (self.releases < 2 or part.shape != self.seen.shape):
                raise DataError(
                    f"the {name} is of several releases of shape {list(self.seen.shape)}, not "
                    f"{list(part.shape)} of {self.releases}: cut it as you cut `seen`"
                )

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
        with seeded(seed, "scene", "law"):
            kept = kept_of(mechanism, auxiliary.inputs, auxiliary.labels, releases)
        with seeded(seed, "scene"):
            found = summarised(mechanism, target.inputs, target.labels, releases, kept)
        return cls(
            mechanism, auxiliary, target, found.mean, releases, model, seed,
            found.spread, found.median,
        )  # fmt: skip

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
    return summarised(mechanism, inputs, labels, releases, Kept()).mean
