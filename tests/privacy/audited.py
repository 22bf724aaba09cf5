"""Tiny records, tiny attacks and one audit of them, shared by the tests of audit and card."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sfumato.data.records import Records
from sfumato.errors import SettingError
from sfumato.privacy.attacks import Attack, LinearAttack, Outcome, Scene
from sfumato.privacy.audit import audit
from sfumato.privacy.card import PrivacyCard
from sfumato.privacy.control import Isotropic

CLASSES = 2


def records(count: int, seed: int = 0, size: int = 4) -> Records:
    """Gaussian records of two classes whose elements go together, `[count, 1, size, size]`."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    common = torch.randn(count, 1, 1, 1, generator=generator)
    own = torch.randn(count, 1, size, size, generator=generator)
    inputs = common + 0.5 * own + 3.0 * labels.reshape(-1, 1, 1, 1)
    return Records(inputs, labels, ("low", "high"), "tiny")


class ClassMean(Attack):
    """An attack that does not look at the releases."""

    @property
    def name(self) -> str:
        return "class-mean"

    def run(self, scene: Scene) -> Outcome:
        means = [scene.auxiliary.inputs[scene.auxiliary.labels == c].mean(0) for c in range(2)]
        guess = torch.stack(means)[scene.target.labels]
        return Outcome(reconstructions=guess, notes=("does not look",))


class Identity(Attack):
    """Takes the release for the record."""

    @property
    def name(self) -> str:
        return "identity"

    def run(self, scene: Scene) -> Outcome:
        return Outcome(reconstructions=scene.seen.clone())


class Needy(Attack):
    """Cannot run on the tiny records, which have two classes."""

    def __init__(self, classes: int = 3) -> None:
        self.classes = classes

    @property
    def name(self) -> str:
        return "needy"

    def run(self, scene: Scene) -> Outcome:
        if scene.num_classes < self.classes:
            raise SettingError(f"this attack needs {self.classes} classes")
        return Outcome({"rate": 0.75}, "rate", 0.5)


class Counting(Attack):
    """The linear attack, and a line in a file for each of its runs."""

    def __init__(self, log: str, fail_at: int = 0) -> None:
        self.log = log
        self._fail_at = fail_at  # not a setting: a run that resumes has another

    @property
    def name(self) -> str:
        return "counting"

    def run(self, scene: Scene) -> Outcome:
        with Path(self.log).open("a") as log:
            log.write(f"{scene.seed} {scene.releases}\n")
        if len(Path(self.log).read_text().splitlines()) == self._fail_at:
            raise KeyboardInterrupt
        return LinearAttack(pooled=True).run(scene)


class Broken:
    """A mechanism whose releases hold NaN."""

    def release(self, x: Tensor, labels: Tensor) -> Tensor:
        return torch.full_like(x, torch.nan)

    def distribution(self, x: Tensor, selection: Any = None) -> Any:
        return torch.distributions.Normal(x, torch.ones_like(x))


def judge() -> torch.nn.Module:
    """Says the class by the mean of a record's elements."""
    last = torch.nn.Linear(16, 2)
    with torch.no_grad():
        last.weight.copy_(torch.tensor([[-1.0], [1.0]]).expand(2, 16) / 16)
        last.bias.copy_(torch.tensor([1.5, -1.5]))
    return torch.nn.Sequential(torch.nn.Flatten(), last)


def run(**changes: Any) -> PrivacyCard:
    """An audit of isotropic noise of σ = 1 with the linear attack."""
    settings: dict[str, Any] = {
        "obfuscator": Isotropic(1.0),
        "data": (records(200), records(100, seed=1)),
        "attacks": [LinearAttack(pooled=True)],
        "releases": (1, 4),
        "seeds": (0, 1),
        "model": judge(),
        **changes,
    }
    return audit(settings.pop("obfuscator"), settings.pop("data"), **settings)


@cache
def card() -> PrivacyCard:
    """That audit with two attacks, and one that cannot run."""
    return run(attacks=[LinearAttack(pooled=True), ClassMean(), Needy()])
