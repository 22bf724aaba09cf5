"""Attacks on the selection: σ(x) and π(x) leak where they follow the record, and only there."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.errors import SettingError
from sfumato.obfuscation import isotropic
from sfumato.privacy.attacks import Attack, Outcome, Scene, SelectionAttack
from sfumato.testing import AttackContract
from tests.privacy.toys import Additive, ByScale, Untold, covariance, gaussians, scene

SIGMA = covariance(6)
PARTS = gaussians((600, 300), SIGMA, classes=2)
POSITIVE = (PARTS[0][0].abs(), PARTS[0][1]), (PARTS[1][0].abs(), PARTS[1][1])


def attacked(mechanism: Any, parts: Any = PARTS, releases: int = 1) -> Outcome:
    return SelectionAttack().run(scene(mechanism, parts, releases=releases))


class TestContract(AttackContract):
    """The quieter the noise on top of it, the more of the scale is the record."""

    loud = 1.0
    slack = 0.0
    averages = False  # the parameters are given without noise
    blind = False  # its figures are leaks of the attacked records
    shapes = ((6,),)

    def make(self) -> Attack:
        return SelectionAttack()

    def scene(self, shape: tuple[int, ...], sigma: float, releases: int = 1) -> Scene:
        mechanism = Additive(1.0) if math.isinf(sigma) else ByScale()
        return scene(mechanism, POSITIVE, releases=releases)


def conditional(selection: nn.Module | None = None, *, follows: bool = True) -> sf.Obfuscator:
    """Two classes of kernels with the record in their scale, or a scale of their own alone."""
    layer = sf.nn.ConditionalLinear(2, 6, 6)
    with torch.no_grad():
        layer.weight.copy_(0.3 * torch.randn(layer.weight.shape))
        if not follows:
            layer.weight[:, 6:] = 0
    return sf.Obfuscator(layer, selection)


def test_a_scale_that_is_the_record() -> None:
    outcome = attacked(ByScale(), POSITIVE)
    assert outcome.figures["released_scale"] == pytest.approx(1, abs=1e-6)
    # Under the noise of one draw the same channel tells much less, of ten draws more.
    ten = attacked(ByScale(), POSITIVE, releases=10).figures["released_noise"]
    assert 0.1 < outcome.figures["released_noise"] < ten - 0.1 < 0.9
    assert "no selection is learned" in outcome.notes[-1]


def test_nothing_where_the_scale_is_fixed() -> None:
    outcome = attacked(isotropic((6,), 0.3))
    assert outcome.figures == {"parameters": 0.0}
    assert "does not depend on the record" in outcome.notes[0]
    assert "not applicable" in outcome.notes[1]


def test_an_unknown_law_is_an_error_and_no_zero() -> None:
    with pytest.raises(SettingError, match="off its law, which the mechanism does not state"):
        attacked(Untold(Additive(1.0)))


def test_a_law_that_is_not_stated_for_what_is_served() -> None:
    """A class drawn for each element: its law is not stated."""
    selection = sf.nn.SoftSelection(2, (6,), "output", "mixture")
    outcome = attacked(conditional(selection))
    assert outcome.figures["released_scale"] > 0
    assert "served_scale" not in outcome.figures
    assert "not run on serving: the law of a served record is not stated" in outcome.notes


def test_a_soft_selection_of_scales_that_are_fixed() -> None:
    outcome = attacked(conditional(sf.nn.SoftSelection(2), follows=False))
    assert outcome.figures["parameters"] == 0
    assert "served_scale" not in outcome.figures
    assert set(outcome.figures) > {"served_leak", "released_leak", "shift"}
    assert outcome.notes[-1] == "the selection is the same for all records"


def test_a_soft_selection_of_scales_that_follow() -> None:
    figures = attacked(conditional(sf.nn.SoftSelection(2))).figures
    assert figures["served_scale"] > 0.9
    assert figures["parameters"] == max(figures["served_scale"], figures["released_scale"])
    assert figures["served_noise"] < 0.5


def test_the_label_is_read_off_the_served_scale() -> None:
    far = tuple((x + 4 * c.unsqueeze(1), c) for x, c in PARTS)
    figures = attacked(conditional(sf.nn.SoftSelection(2)), far).figures
    assert figures["label_from_scale"] > 0.9
    assert figures["label_majority"] == 0.5


class Gate(nn.Module):
    """π(x) by the sign of the first element."""

    def forward(self, x: Tensor) -> Tensor:
        share = torch.sigmoid(20 * x[:, 0])
        return torch.stack([share, 1 - share], 1)


def test_a_gate_that_follows_the_record() -> None:
    outcome = attacked(conditional(Gate(), follows=False))
    # A sign is worth 2/π of the variance of its element, a sixth of all without the others'.
    assert 0.15 < outcome.figures["gate"] < 0.6
    assert outcome.figures["parameters"] >= outcome.figures["gate"]


@dataclass(frozen=True)
class Shifted:
    """Noise of another strength for records whose label is unknown."""

    released: float
    served: float
    selection: str = "learned"

    def __call__(self, x: Tensor) -> Tensor:
        return Additive(self.served).release(x, x)

    def release(self, x: Tensor, labels: Tensor) -> Tensor:
        return Additive(self.released).release(x, labels)

    def distribution(self, x: Tensor, selection: Tensor | None) -> Any:
        sigma = self.served if selection is None else self.released
        return Additive(sigma).distribution(x, x)


def test_serving_that_hides_less() -> None:
    figures = attacked(Shifted(2.0, 0.5)).figures
    assert figures["shift"] > 0.2
    assert figures["shift"] == figures["served_leak"] - figures["released_leak"]
    assert abs(attacked(Shifted(1.0, 1.0)).figures["shift"]) < 0.05


def test_one_auxiliary_record_of_a_class() -> None:
    stage = scene(ByScale(), POSITIVE)
    few = replace(stage, auxiliary=stage.auxiliary.subset([0, 1, 2]))
    assert SelectionAttack().run(few).figures["parameters"] <= 1


def test_large_records_by_a_part_of_them() -> None:
    order = torch.Generator().manual_seed(0)
    labels = torch.arange(80) % 2
    parts = [(torch.rand(n, 1100, generator=order), labels[:n]) for n in (80, 20)]
    figures = attacked(ByScale(), parts).figures
    # 72 records span few of 1100 directions of white noise: little to recover, and no failure.
    assert 0 <= figures["parameters"] < 0.2
