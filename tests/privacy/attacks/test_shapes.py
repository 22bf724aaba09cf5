"""Inference attacks take records and releases of any shape."""

from __future__ import annotations

import math

import pytest
import torch

import sfumato as sf
from sfumato.data.records import Records
from sfumato.privacy import CriticSettings, mutual_information
from sfumato.privacy.attacks import (
    AttributeAttack,
    LabelAttack,
    LinkageAttack,
    ReaderSettings,
    Scene,
    SelectionAttack,
)

QUICK = ReaderSettings(steps=4, batch_size=16, check_every=2, draws=100)


@pytest.mark.parametrize("releases", [1, 3])
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (sf.nn.ConditionalConv2d(2, 1, 3, 3, stride=2, padding=1), (1, 5, 7)),
        (sf.nn.ConditionalConv2d(2, 1, 1, 3), (1, 4, 4)),
        (sf.nn.ConditionalConv2d(2, 1, 2, 3, padding=1, noise=sf.noise.Laplace()), (1, 4, 4)),
        (sf.nn.ConditionalLinear(2, 6, 4), (6,)),
        (sf.nn.StochasticConv1d(2, 4, 3, padding=1), (2, 5)),
        (sf.nn.StochasticConv3d(1, 1, 1), (1, 3, 3, 3)),
        (sf.nn.StochasticLinear(6, 3, noise=sf.noise.Binomial(5)), (6,)),
    ],
    ids=["stride 2", "smaller", "Laplace", "fewer features", "sequences", "volumes", "discrete"],
)
def test_releases_of_any_shape(
    layer: sf.nn.StochasticModule, shape: tuple[int, ...], releases: int
) -> None:
    labels = torch.arange(60) % 2
    records = Records(torch.randn(60, *shape), labels, ("a", "b"))
    known, target = records.subset(range(40)), records.subset(range(40, 60))
    conditional = getattr(layer, "num_classes", None) is not None
    obfuscator = sf.Obfuscator(layer, sf.nn.SoftSelection(2) if conditional else None)
    scene = Scene.of(obfuscator, known, target, releases=releases)
    for attack in (
        LinkageAttack(),
        AttributeAttack(settings=QUICK),
        LabelAttack(QUICK),
        SelectionAttack(),
    ):
        outcome = attack.run(scene)
        assert all(math.isfinite(value) for value in outcome.figures.values()), outcome
        assert outcome.headline in outcome.figures
    bracket = mutual_information(obfuscator, known, target, critic=CriticSettings(steps=2))
    assert 0 <= bracket.lower < bracket.lower_ceiling
    assert bracket.d == scene.seen[0].numel()
