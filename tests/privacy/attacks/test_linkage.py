"""Linkage: the matched filter finds the record where it must, and shares hits by chance."""

from __future__ import annotations

import pytest
import torch

from sfumato.data.records import Records
from sfumato.errors import DataError, SettingError
from sfumato.privacy.attacks import Attack, LinkageAttack, Scene, toy_scene
from sfumato.testing import AttackContract
from tests.privacy.toys import (
    Additive,
    ByLabel,
    ByScale,
    Correlated,
    LaplaceNoise,
    Untold,
    covariance,
    gaussians,
    scene,
)

SIGMA = covariance(16)
PARTS = gaussians((400, 100), SIGMA, classes=2)


class TestContract(AttackContract):
    loud = 2.0
    slack = 1e-9
    blind = False  # the attacked records are in the gallery: that is what the attacker knows

    def make(self) -> Attack:
        return LinkageAttack()

    def scene(self, shape: tuple[int, ...], sigma: float, releases: int = 1) -> Scene:
        return toy_scene(shape, sigma, releases)


def found(stage: Scene, name: str = "top1") -> float:
    return LinkageAttack().run(stage).figures[name]


def test_the_gallery_and_its_chance() -> None:
    stage = scene(Additive(1.0), PARTS)
    outcome = LinkageAttack(gallery=300).run(stage)
    # 100 attacked records and 200 of 400 auxiliary ones, of two labels.
    assert outcome.figures["pooled_gallery"] == pytest.approx(300)
    assert outcome.figures["gallery"] == pytest.approx(150, abs=25)
    assert outcome.chance == pytest.approx(1 / outcome.figures["gallery"], rel=0.05)
    alone = LinkageAttack(gallery=2).run(stage)
    assert alone.figures["gallery"] == 50


def test_a_smaller_gallery_is_easier() -> None:
    stage = scene(Additive(1.5), PARTS)
    few, many = (LinkageAttack(gallery=n).run(stage).figures["top1"] for n in (100, 500))
    assert few > many


def test_the_label_only_helps() -> None:
    outcome = LinkageAttack().run(scene(Additive(1.5), PARTS)).figures
    assert outcome["top1"] >= outcome["pooled_top1"]
    assert outcome["top5"] > outcome["top1"]


def test_ten_releases_find_more() -> None:
    one, ten = (found(scene(Additive(2.0), PARTS, releases=k)) for k in (1, 10))
    assert ten > one + 0.3


def test_the_density_of_a_scale_that_follows_the_record() -> None:
    # The location is 0 for all records: nearest neighbours find nothing, the density does.
    shifted = tuple((x.abs() + 0.1, c) for x, c in gaussians((400, 100), covariance(64), 2))
    assert found(scene(ByScale(), (shifted[0], shifted[1]))) > 0.9


def test_correlated_noise_is_whitened() -> None:
    # Noise with next to nothing in all directions but one hides nothing from who knows it.
    direction = torch.ones(16, 1).double() / 4
    root = torch.linalg.cholesky(1e-4 * torch.eye(16).double() + 25 * direction @ direction.T)
    assert found(scene(Correlated(root), PARTS)) > 0.95
    assert found(scene(Additive(25**0.5), PARTS)) < 0.2


@pytest.mark.parametrize("releases", [1, 3])
def test_laplace_noise(releases: int) -> None:
    quiet, loud = (scene(LaplaceNoise(b), PARTS, releases=releases) for b in (0.05, 2.0))
    assert found(quiet) == 1
    assert found(quiet) > found(loud)


def test_the_laplace_density_beats_its_moments() -> None:
    figures = LinkageAttack().run(scene(LaplaceNoise(1.0), PARTS)).figures
    assert figures["top1"] > figures["pooled_top1"]


def test_a_location_and_scale_for_each_label() -> None:
    values = [torch.tensor(v) for v in ([1.0, -2.0], [0.0, 5.0], [0.1, 0.3])]
    assert found(scene(ByLabel(*values), PARTS)) > 0.95


def test_an_unknown_law_is_fitted() -> None:
    told, untold = (scene(m, PARTS) for m in (Additive(0.7), Untold(Additive(0.7))))
    outcome = LinkageAttack().run(untold)
    assert outcome.figures["top1"] == pytest.approx(found(told), abs=0.12)
    assert "linear map" in outcome.notes[0]


def test_equal_records_share_the_hit() -> None:
    same = torch.ones(10, 6), torch.zeros(10, dtype=torch.long)
    outcome = LinkageAttack().run(scene(Additive(1.0), (same, same), 1))
    assert outcome.figures["top1"] == pytest.approx(1 / 20)
    assert outcome.figures["top5"] == pytest.approx(5 / 20)


def test_nothing_to_tell_apart() -> None:
    records = Records(torch.randn(2, 6), torch.arange(2), ("a", "b"))
    with pytest.raises(DataError, match="no release has a second record of its label"):
        LinkageAttack(gallery=2).run(Scene.of(Additive(1.0), records, records))


def test_a_gallery_of_one() -> None:
    with pytest.raises(SettingError, match="at least 2 records, not 1"):
        LinkageAttack(gallery=1)
