"""Every objective of the package under the contract that a user's own passes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

import sfumato as sf
from sfumato.obfuscation.objective import Weighed
from sfumato.objectives import Adversary, AdversarySettings, OnRecords, full_information
from sfumato.testing import ObjectiveContract

SMALL = AdversarySettings(members=2, steps=2, restart=6, warm_up=4, batch_size=32, width=4)


def named(name: Any) -> Any:
    return Weighed.of(name, margin=2.0).function


class TestInformation(ObjectiveContract):
    invariant = True

    @staticmethod
    def make() -> Any:
        return named("information")


class TestMaxEntropy(ObjectiveContract):
    @staticmethod
    def make() -> Any:
        return named("max_entropy")


class TestWiener(ObjectiveContract):
    invariant = True

    @staticmethod
    def make() -> Any:
        return named("wiener")


class TestWienerOnPatches(ObjectiveContract):
    invariant = True

    @staticmethod
    def make() -> Any:
        return OnRecords(sf.objectives.wiener_leak, patch=2)


class TestWienerOnSomeRecords(ObjectiveContract):
    smooth = True  # the choice of the records is seeded

    @staticmethod
    def make() -> Any:
        return OnRecords(sf.objectives.wiener_leak, records=40)


class TestFullInformation(ObjectiveContract):
    invariant = True

    @staticmethod
    def make() -> Any:
        return named("full_information")


class TestFullInformationOfABatch(ObjectiveContract):
    invariant = True

    @staticmethod
    def make() -> Any:
        def of_batch(emitted: sf.nn.Recording, labels: Tensor) -> Tensor:
            laws = emitted.distributions.values()
            return torch.stack([full_information(law, labels) for law in laws]).sum()

        return of_batch


class TestAdversary(ObjectiveContract):
    smooth = False

    @staticmethod
    def make() -> Any:
        return Adversary(SMALL)


class TestLabelLeak(ObjectiveContract):
    """Two laws that are apart by their location: here by the records of the next place."""

    invariant = True

    @staticmethod
    def make() -> Any:
        def to_neighbour(law: Distribution, _: Tensor, labels: Tensor) -> Tensor:
            moved = torch.distributions.Normal(law.mean.roll(1, 0), law.stddev.roll(1, 0))
            return sf.objectives.label_leak(law, moved)

        return OnRecords(to_neighbour)
