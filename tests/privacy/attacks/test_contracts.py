"""Every attack that reconstructs records holds the contract."""

from __future__ import annotations

from sfumato.privacy import DecoderSettings
from sfumato.privacy.attacks import (
    Attack,
    LinearAttack,
    MapAttack,
    NetworkAttack,
    Scene,
    toy_scene,
)
from sfumato.testing import AttackContract

QUICK = DecoderSettings(steps=20, batch_size=32, width=2, check_every=5, patience=3)


class _Reconstruction(AttackContract):
    def scene(self, shape: tuple[int, ...], sigma: float, releases: int = 1) -> Scene:
        return toy_scene(shape, sigma, releases)


class TestLinear(_Reconstruction):
    success = 0.99
    slack = 1e-6
    tolerance = 0.0

    def make(self) -> Attack:
        return LinearAttack()


class TestPooled(TestLinear):
    def make(self) -> Attack:
        return LinearAttack(pooled=True)


class TestPerClass(TestLinear):
    def make(self) -> Attack:
        return LinearAttack(pooled=False)


class TestNetwork(_Reconstruction):
    success = 0.99
    slack = 0.03

    def make(self) -> Attack:
        return NetworkAttack(QUICK)


class TestMap(_Reconstruction):
    success = 0.99
    slack = 0.1

    def make(self) -> Attack:
        return MapAttack(steps=40, variations=(0.0, 0.3))
