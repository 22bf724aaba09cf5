"""Attribute inference: read where it shows, chance where it does not, the label taken off."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sfumato.errors import DataError, SettingError
from sfumato.privacy.attacks import (
    Attack,
    AttributeAttack,
    ReaderSettings,
    Scene,
    balance,
    brightness,
    toy_scene,
)
from sfumato.testing import AttackContract
from tests.privacy.toys import Additive, ByScale, Untold, covariance, gaussians, scene

QUICK = ReaderSettings(steps=80, batch_size=64, check_every=20, draws=2000)
SIGMA = covariance(6)
PARTS = gaussians((1000, 400), SIGMA, classes=2)


class TestContract(AttackContract):
    slack = 0.12  # 400 attacked records: five standard errors of 0.025
    tolerance = 0.04
    blind = False  # its figures compare with the attribute of the attacked records

    def make(self) -> Attack:
        return AttributeAttack(settings=QUICK)

    def scene(self, shape: tuple[int, ...], sigma: float, releases: int = 1) -> Scene:
        return toy_scene(shape, sigma, releases, auxiliary=1000, attacked=400)


def accuracy(stage: Scene, attack: AttributeAttack | None = None) -> float:
    return (attack or AttributeAttack(settings=QUICK)).run(stage).figures["accuracy"]


def test_the_best_possible_accuracy() -> None:
    # The sign of a Gaussian, read off the same Gaussian under noise: ½ + asin(ρ) / π.
    stage = scene(Additive(1.0), PARTS)
    mean = SIGMA.mean(0)
    best = mean @ torch.linalg.inv(SIGMA + torch.eye(6).double()) @ mean / mean.mean()
    expected = 0.5 + float(torch.asin(best.sqrt())) / torch.pi
    # Four standard errors of 400 records are 0.08.
    assert accuracy(stage) == pytest.approx(expected, abs=0.08)


def test_more_releases_tell_more() -> None:
    one, ten = (accuracy(scene(Additive(4.0), PARTS, releases=k)) for k in (1, 10))
    assert ten > one + 0.08


def test_the_label_says_nothing_of_it() -> None:
    (x, c), (y, e) = PARTS
    far = (x + 50 * c.unsqueeze(1), c), (y + 50 * e.unsqueeze(1), e)
    outcome = AttributeAttack(settings=QUICK).run(scene(Additive(100.0), far))
    assert outcome.chance == pytest.approx(0.5, abs=0.01)
    assert outcome.figures["accuracy"] == pytest.approx(0.5, abs=0.12)


def test_what_no_line_separates() -> None:
    # Whether the first two elements have one sign: the network sees it, the regression cannot.
    def alike(inputs: Tensor, labels: Tensor) -> Tensor:
        return (inputs[:, 0] * inputs[:, 1] > 0).long()

    stage = scene(Additive(0.05), gaussians((1000, 400), torch.eye(6).double(), 1), 1)
    settings = ReaderSettings(steps=300, batch_size=128, draws=2000)
    figures = AttributeAttack(alike, settings=settings).run(stage).figures
    assert figures["accuracy"] > 0.85
    assert figures["linear_accuracy"] < 0.65


def test_an_attribute_that_only_the_scale_shows() -> None:
    (x, c), (y, e) = gaussians((1000, 400), covariance(16, 0.95), classes=2)
    stage = scene(ByScale(), ((x.abs(), c), (y.abs(), e)))
    settings = ReaderSettings(steps=300, draws=2000)
    assert accuracy(stage, AttributeAttack(settings=settings)) > 0.7


def test_given_values_of_three_kinds() -> None:
    kinds = [(1.5 * x[:, 0]).round().clamp(-1, 1).long() + 1 for x, _ in PARTS]
    attack = AttributeAttack((kinds[0], kinds[1]), title="Kind of 3", settings=QUICK)
    outcome = attack.run(scene(Additive(0.05), PARTS))
    assert attack.name == "attribute-kind-of-3"
    assert outcome.figures["accuracy"] > 0.85 > outcome.chance + 0.3


def test_an_unknown_law() -> None:
    assert accuracy(scene(Untold(Additive(0.05)), PARTS, releases=2)) > 0.9


def test_what_is_built_in() -> None:
    left, right = torch.zeros(2, 1, 4, 4)
    left[..., 0], right[..., 3] = 1, 1
    pictures, labels = torch.stack([left, right]), torch.zeros(2, dtype=torch.long)
    assert brightness(pictures, labels).tolist() == [0.25, 0.25]
    assert balance(pictures, labels).tolist() == [-0.25, 0.25]
    assert AttributeAttack(balance).name == "attribute-balance"


def test_the_linear_reader_alone() -> None:
    outcome = AttributeAttack(settings=ReaderSettings(steps=0, draws=2000)).run(
        scene(Additive(0.1), PARTS)
    )
    assert outcome.figures["accuracy"] == outcome.figures["linear_accuracy"] > 0.9
    assert "linear reader" in outcome.notes[0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (lambda x, c: c, "is the same for all auxiliary records of a class"),
        (lambda x, c: x, r"one value for each of 1000 records, not of shape \[1000, 6\]"),
        (lambda x, c: c - 1, "must be finite, and from 0"),
        (lambda x, c: x[:, 0] / 0, "must be finite, and from 0"),
    ],
    ids=["the label", "no attribute", "below 0", "infinite"],
)
def test_no_attribute(values: object, message: str) -> None:
    attack = AttributeAttack(values, title="this", settings=QUICK)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=message):
        attack.run(scene(Additive(1.0), PARTS))


@pytest.mark.parametrize("name", ["batch_size", "lr", "check_every", "patience", "draws"])
def test_the_budget(name: str) -> None:
    wrong = {name: 0}
    with pytest.raises(SettingError, match=f"{name} must be above 0"):
        ReaderSettings(**wrong)
