"""The learned adversary: what it finds, how it ages, and how it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution, Normal

from sfumato.data import digits
from sfumato.errors import SettingError
from sfumato.nn import AdditiveNoise
from sfumato.nn.record import record
from sfumato.objectives import Adversary, AdversarySettings, Emission
from sfumato.objectives.reconstructor import Reconstructor
from sfumato.train import seeded

SETTINGS = AdversarySettings(members=2, steps=2, restart=8, warm_up=20, batch_size=64, width=4)


@dataclass(frozen=True)
class Isotropic:
    """x + σ ε, where `first` is given of the first so many elements only."""

    sigma: float
    first: int | None = None

    def distribution(self, x: Tensor, labels: Tensor) -> Distribution:
        location = x if self.first is None else x.flatten(1)[:, : self.first]
        return Normal(location, torch.full_like(location, self.sigma))

    def release(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.distribution(x, labels).sample()


def emission(mechanism: Isotropic, count: int = 400) -> Emission:
    data = digits()[0]
    x, labels = data.inputs[:count], data.labels[:count]
    with record(AdditiveNoise((1,))) as nothing:
        pass
    return Emission(nothing, x, labels, mechanism.release(x, labels), mechanism)


def leak(mechanism: Isotropic, steps: int = 10, settings: AdversarySettings = SETTINGS) -> float:
    with seeded("adversary", mechanism):
        adversary, shown = Adversary(settings), emission(mechanism)
        adversary.prepare(shown.inputs, shown.labels, 10)
        for _ in range(steps):
            adversary.step(shown)
        return float(adversary(shown).detach())


def test_it_sees_everything_where_there_is_no_noise() -> None:
    assert leak(Isotropic(1e-3)) > 0.97


def test_it_sees_nothing_where_there_is_noise_alone() -> None:
    assert 0 <= leak(Isotropic(100.0)) <= 0.05


def test_it_beats_a_decoder_that_looks_at_elements_alone() -> None:
    settings = AdversarySettings(members=1, steps=30, restart=100, warm_up=100, width=8)
    short = AdversarySettings(members=1, steps=0, restart=100, warm_up=0, width=8)
    assert leak(Isotropic(0.3), settings=settings) > leak(Isotropic(0.3), settings=short) + 0.05


def test_releases_of_another_size() -> None:
    half, all_but_nothing = Isotropic(1e-3, first=32), Isotropic(50.0, first=32)
    settings = AdversarySettings(members=1, steps=10, restart=100, warm_up=200, width=16)
    assert leak(half, settings=settings) > 0.4
    assert leak(all_but_nothing, settings=settings) < 0.15


def test_the_start_is_the_best_decoder_of_each_element() -> None:
    labels, generator = torch.arange(2000) % 2, torch.Generator().manual_seed(0)
    x = torch.randn(2000, 3, generator=generator) + labels.unsqueeze(1)
    y = x + 0.5 * torch.randn(2000, 3, generator=generator)
    decoder = Reconstructor((3,), (3,), 2, 4)
    decoder.begin(x, y, labels)
    with torch.no_grad():
        # Var x / (Var x + σ²) = 0.8, to the spread of an estimate from 2,000 records.
        assert float(decoder.leak(x, y, labels)) == pytest.approx(0.8, abs=0.02)


def test_the_gradient_goes_to_the_releases_and_not_to_the_decoders() -> None:
    shown = emission(Isotropic(0.3), 64)
    releases = shown.releases.clone().requires_grad_()
    adversary = Adversary(SETTINGS)
    adversary.prepare(shown.inputs, shown.labels, 10)
    moved = Emission(shown.recording, shown.inputs, shown.labels, releases, shown.mechanism)
    adversary.step(moved)
    adversary(moved).backward()
    assert releases.grad is not None and bool(releases.grad.any())
    assert all(p.grad is None for member in adversary.members for p in member.parameters())


def test_members_are_replaced_in_turn() -> None:
    shown = emission(Isotropic(0.3), 64)
    adversary = Adversary(SETTINGS)
    adversary.prepare(shown.inputs, shown.labels, 10)
    seen: list[list[int]] = []
    alive: list[Any] = []  # so that no id is given twice
    for _ in range(17):
        adversary.step(shown)
        alive.extend(adversary.members)
        seen.append([id(member) for member in adversary.members])
    changes = [
        [now != before for now, before in zip(seen[i], seen[i - 1], strict=True)]
        for i in range(1, 17)
    ]
    first, second = ([i + 1 for i, change in enumerate(changes) if change[m]] for m in range(2))
    assert first == [8, 16] and second == [4, 12]


def test_the_strongest_counts() -> None:
    shown = emission(Isotropic(0.3), 100)
    adversary = Adversary(SETTINGS)
    adversary.prepare(shown.inputs, shown.labels, 10)
    adversary.step(shown)
    with torch.no_grad():
        each = [
            float(m.leak(shown.inputs, shown.releases, shown.labels)) for m in adversary.members
        ]
    assert float(adversary(shown).detach()) == pytest.approx(max(0.0, *each))


@pytest.mark.parametrize("name", ["members", "restart", "batch_size", "lr", "width"])
def test_settings_that_cannot_be(name: str) -> None:
    broken: dict[str, Any] = {name: 0}
    with pytest.raises(SettingError, match=f"{name} of an adversary must be above 0"):
        AdversarySettings(**broken)
