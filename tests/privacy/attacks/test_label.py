"""Label leakage: what the noise writes is read, and nothing where it writes nothing."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from sfumato.data.records import Records
from sfumato.errors import DataError
from sfumato.privacy.attacks import Attack, LabelAttack, Outcome, ReaderSettings, Scene, toy_scene
from sfumato.testing import AttackContract
from tests.privacy.toys import Additive, ByLabel, LaplaceNoise, Untold, covariance, gaussians, scene

QUICK = ReaderSettings(steps=80, batch_size=64, check_every=20, draws=2000)
PARTS = gaussians((1000, 300), covariance(6), classes=2)


def by_label(*, shift: float = 0.0, sigmas: tuple[float, float] = (1.0, 1.0)) -> ByLabel:
    return ByLabel(torch.ones(2), torch.tensor([-shift, shift]), torch.tensor(sigmas))


def attacked(mechanism: object, releases: int = 1) -> Outcome:
    return LabelAttack(QUICK).run(scene(mechanism, PARTS, releases=releases))  # type: ignore[arg-type]


class TestContract(AttackContract):
    """Every label shifts the record its own way, by much where the noise is quiet."""

    loud = 4.0
    slack = 0.0
    tolerance = 0.05
    blind = False  # the attacked records themselves are released under every label
    shapes = ((6,),)

    def make(self) -> Attack:
        return LabelAttack(QUICK)

    def scene(self, shape: tuple[int, ...], sigma: float, releases: int = 1) -> Scene:
        if math.isinf(sigma):
            return toy_scene(shape, 1.0, releases)  # noise that is the same for every label
        return scene(by_label(shift=2, sigmas=(sigma, sigma)), PARTS, releases=releases)


def test_an_unconditional_mechanism_is_at_chance() -> None:
    outcome = attacked(Additive(0.3))
    names = "constant_image", "constant_image_known", "from_noise"
    assert [outcome.figures[name] for name in names] == [0.5] * 3
    assert outcome.chance == 0.5
    assert "nothing is written" in outcome.notes[-1]


def test_a_scale_for_each_label_is_read_off_the_noise_alone() -> None:
    figures = attacked(by_label(sigmas=(0.3, 3.0))).figures
    assert figures["from_noise"] > 0.99
    assert figures["constant_image_known"] > 0.99
    assert figures["constant_image"] > 0.8


def test_a_shift_for_each_label_is_not_in_the_noise() -> None:
    figures = attacked(by_label(shift=0.5)).figures
    assert figures["from_noise"] == 0.5
    # Two Gaussians 1 apart in each of 6 elements, equally likely: Φ(√6 / 2) = 0.890, and the
    # standard error of 600 releases is 0.013.
    assert figures["constant_image_known"] == pytest.approx(0.890, abs=0.06)
    assert 0.55 < figures["constant_image"] < figures["constant_image_known"]


def test_more_releases_tell_more() -> None:
    one, ten = (attacked(by_label(shift=0.1), k).figures for k in (1, 10))
    assert ten["constant_image_known"] > one["constant_image_known"] + 0.1


def test_the_spread_of_several_releases_is_read() -> None:
    """Scales of 1 and 1.2: an average tells little, the variance of twenty releases much.

    log S² has a standard deviation of about √(2 / 19) = 0.32 and the labels' differ by 2 log 1.2 =
    0.36 in each of 6 elements: Φ(√6 · 0.36 / 0.32 / 2) = 0.92. Of one release the same square has
    one degree of freedom instead of 19: Φ(√6 · 0.36 / √2 / 2) = 0.62.
    """
    figures = attacked(by_label(sigmas=(1.0, 1.2)), 20).figures
    assert figures["constant_image"] > 0.8
    assert figures["from_noise"] == figures["constant_image_known"] > 0.85
    unseen = attacked(by_label(sigmas=(1.0, 1.2))).figures
    assert unseen["constant_image_known"] < 0.75


@pytest.mark.parametrize("releases", [2, 5])
def test_several_releases_under_another_law(releases: int) -> None:
    """Laplace noise whose scale follows the label, and a law that is not told."""

    class Scaled(LaplaceNoise):
        def distribution(self, x: torch.Tensor, selection: torch.Tensor) -> Any:
            scale = (1.0 + 4 * selection).unsqueeze(1)
            return torch.distributions.Laplace(x, scale.expand_as(x))

    figures = attacked(Scaled(1.0), releases).figures
    assert figures["constant_image_known"] > 0.9
    assert figures["constant_image"] > 0.85
    told = attacked(Untold(Scaled(1.0)), releases).figures  # type: ignore[arg-type]
    assert told["constant_image"] > 0.85


def test_laplace_noise() -> None:
    assert attacked(LaplaceNoise(1.0), 2).figures["constant_image_known"] == 0.5


def test_an_unknown_law_is_read_by_training() -> None:
    figures = attacked(Untold(by_label(shift=3, sigmas=(0.1, 0.1)))).figures
    assert figures["constant_image"] > 0.95
    assert "from_noise" not in figures


def test_what_obfuscation_takes_from_a_record() -> None:
    figures = LabelAttack(QUICK).run(toy_scene((6,), 3.0, auxiliary=1000, attacked=400)).figures
    assert figures["from_clean"] > figures["from_release"] + 0.1


class Reads(nn.Module):
    """A model that has learned the shift."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.flatten(1).mean(1)
        return torch.stack([-mean, mean], 1)


def test_the_model_that_reads_the_noise() -> None:
    stage = Scene.of(
        by_label(shift=5),
        *(Records(x, c, ("a", "b")) for x, c in PARTS),
        model=Reads(),
    )
    assert LabelAttack(QUICK).run(stage).figures["constant_image_model"] > 0.95


def test_one_class() -> None:
    with pytest.raises(DataError, match="one class alone"):
        LabelAttack(QUICK).run(scene(Additive(1.0), gaussians((20, 20), covariance(6)), 1))
