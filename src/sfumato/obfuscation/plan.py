"""What an incremental training does, and the records it works on."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, final

import numpy as np
import torch
from torch import Tensor, nn

from sfumato.data.order import SPLIT_SEED, stratified_order
from sfumato.data.records import Records
from sfumato.errors import DataError, SettingError
from sfumato.obfuscation.fit import FitSettings, ObjectiveName
from sfumato.obfuscation.screening import Screening
from sfumato.obfuscation.start import Start
from sfumato.privacy import DecoderSettings
from sfumato.train import Recipe, seeded

ModelFactory: TypeAlias = Callable[[tuple[int, ...], int], nn.Module]


@final
@dataclass(frozen=True)
class Plan:
    """The settings of `sf.incremental`.

    Args:
        fractions: shares of the training records that are clean in round 1, 2, ...
        target: stop after the round whose mean accuracy on clean test records reaches it.
        seeds: every round and baseline is repeated for each.
        knob: the weight of the obfuscation objective.
        objective: what the knob weighs, see `sf.fit`.
        kind: `"conv"`, `"additive"` or `"scales"`, see `sf.obfuscation.start`.
        sigma: the scale of the noise that the fit starts from.
        bound: clamp the location to (low, high); None for no clamp.
        sigmas: the scales of the isotropic baseline.
        shares: the parts of the records that are released in the rows that release few, those
            worth releasing (`sf.obfuscation.worth_releasing`), under isotropic noise of the middle
            one of `sigmas`.
        learner: the recipe of every classifier.
        fit: how the obfuscator is fitted.
        decoder: the budget of the attacker's network.
        screening: what is hidden of released records at every step.
        rerelease: release records again in every round; each counts as one release more.
        baselines: run the baselines too.
        attacked: how many test records the attacker attacks at most.

    Raises:
        SettingError: a fraction outside (0, 1], fractions that do not grow, no seed.
    """

    fractions: tuple[float, ...] = (0.05, 0.10, 0.15)
    target: float | None = None
    seeds: tuple[int, ...] = (0, 1, 2)
    knob: float = 0.03
    objective: ObjectiveName = "information"
    kind: Start = "conv"
    sigma: float = 1.0
    bound: tuple[float, float] | None = None
    sigmas: tuple[float, ...] = (0.25, 0.5, 1.0)
    shares: tuple[float, ...] = (0.1,)
    learner: Recipe = field(default_factory=Recipe)
    fit: FitSettings = field(default_factory=FitSettings)
    decoder: DecoderSettings = field(default_factory=DecoderSettings)
    screening: Screening = field(default_factory=Screening)
    rerelease: bool = False
    baselines: bool = True
    attacked: int = 2000

    def __post_init__(self) -> None:
        _in_unit_interval("a fraction", self.fractions)
        _in_unit_interval("a share to release", self.shares)
        if not self.fractions or sorted(set(self.fractions)) != list(self.fractions):
            raise SettingError(f"fractions must grow from round to round, not {self.fractions}")
        if not self.knob >= 0:
            raise SettingError(f"the knob must be 0 or more, not {self.knob}")
        for sigma in (self.sigma, *self.sigmas):
            if not 0 < sigma < float("inf"):
                raise SettingError(f"a scale of the noise must be above 0 and finite, not {sigma}")
        if self.attacked < 1:
            raise SettingError(f"attacked must be at least 1, not {self.attacked}")
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise SettingError(f"seeds must be one or more different numbers, not {self.seeds}")
        if self.target is not None and not 0 < self.target <= 1:
            raise SettingError(f"the target accuracy must lie in (0, 1], not {self.target}")

    @property
    def middle_sigma(self) -> tuple[float, ...]:
        """The middle one of the scales; nothing where there is none."""
        return tuple(sorted(self.sigmas)[len(self.sigmas) // 2 :][:1])


def _in_unit_interval(what: str, values: tuple[float, ...]) -> None:
    for value in values:
        if not 0 < value <= 1:
            raise SettingError(f"{what} must lie in (0, 1], not {value}")


@final
@dataclass(frozen=True)
class Job:
    """What every cell of the table needs. Arrays, not tensors: worker processes share them.

    Args:
        plan: the settings.
        model: a factory of (shape, classes), or a network to copy.
        train: records and labels.
        test: records and labels.
        classes: number of classes.
        folder: where state and progress are kept.
    """

    plan: Plan
    model: ModelFactory | nn.Module
    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]
    classes: int
    folder: Path

    @classmethod
    def of(cls, plan: Plan, model: Any, train: Records, test: Records, folder: Path) -> Job:
        """Check that the records fit each other and the plan.

        Raises:
            DataError: shapes or classes differ, or a clean part would miss a class.
        """
        if train.shape != test.shape:
            raise DataError(f"training records are {train.shape}, test records {test.shape}")
        if test.num_classes > train.num_classes:
            raise DataError(
                f"the test records have {test.num_classes} classes, the training records only "
                f"{train.num_classes}"
            )
        clean = round(plan.fractions[0] * len(train))
        if clean < 2 * train.num_classes:
            raise DataError(
                f"{plan.fractions[0]:.3g} of {len(train)} records are {clean} clean ones, fewer "
                f"than two for each of {train.num_classes} classes: use a larger first fraction"
            )
        arrays = [(r.inputs.numpy(), r.labels.numpy()) for r in (train, test)]
        return cls(plan, model, arrays[0], arrays[1], train.num_classes, folder)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one record."""
        return tuple(self.train[0].shape[1:])

    def records(self) -> tuple[Tensor, Tensor]:
        """Training records and labels."""
        return torch.from_numpy(self.train[0]), torch.from_numpy(self.train[1])

    def test_records(self, limit: int | None = None) -> tuple[Tensor, Tensor]:
        """Test records and labels; at most `limit` of them, with the class shares of all."""
        inputs, labels = torch.from_numpy(self.test[0]), torch.from_numpy(self.test[1])
        if limit is None or limit >= len(labels):
            return inputs, labels
        # Folders list their pictures class by class: the first ones would be of one class.
        index = stratified_order(labels, SPLIT_SEED)[:limit]
        return inputs[index], labels[index]

    def fingerprint(self) -> str:
        """SHA-256 over all records and labels, and the weights of a model that is given."""
        digest = hashlib.sha256()
        for values in (*self.train, *self.test):
            digest.update(np.ascontiguousarray(values).view(np.uint8).data)
        if isinstance(self.model, nn.Module):
            for name, weights in self.model.state_dict().items():
                digest.update(name.encode())
                digest.update(
                    weights.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data
                )
        return digest.hexdigest()

    def new_model(self, seed: int) -> nn.Module:
        """A fresh model, the same for every round of a seed."""
        if isinstance(self.model, nn.Module):
            return copy.deepcopy(self.model)
        with seeded(seed, "model"):
            return self.model(self.shape, self.classes)
