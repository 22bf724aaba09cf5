"""Classes that share their kernels: which, and that they still share them after the fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

import sfumato as sf
from sfumato.data.records import Records
from sfumato.errors import SettingError
from sfumato.obfuscation import FitSettings
from sfumato.obfuscation.pooling import ENOUGH, groups_of, tied
from tests.obfuscation import tiny
from tests.obfuscation.fitting import SETTINGS, fitted, start

NAMES = tuple("abcdef")


def clustered(counts: tuple[int, ...], places: tuple[float, ...]) -> Records:
    """Records of class c around `places[c]`."""
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    generator = torch.Generator().manual_seed(0)
    x = torch.tensor(places)[labels].unsqueeze(1) + 0.01 * torch.randn(
        len(labels), 3, generator=generator
    )
    return Records(x, labels, NAMES[: len(counts)])


PLACES = (0.0, 5.0, 0.1, 5.2, 9.0)


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        ("never", (0, 1, 2, 3, 4)),
        (5, (0, 1, 2, 3, 4)),
        (4, (0, 1, 0, 2, 3)),
        (3, (0, 1, 0, 1, 2)),
        (2, (0, 1, 0, 1, 1)),
        (1, (0, 0, 0, 0, 0)),
        ((7, 2, 7, 2, 0), (0, 1, 0, 1, 2)),
    ],
    ids=str,
)
def test_groups(pool: Any, expected: tuple[int, ...]) -> None:
    assert groups_of(pool, clustered((60,) * 5, PLACES)) == expected


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((60, 60, 60, 60, 60), (0, 1, 2, 3, 4)),
        ((60, 60, 3, 60, 60), (0, 1, 0, 2, 3)),
        ((30, 60, 20, 10, 60), (0, 1, 0, 1, 2)),
        ((1, 1, 1, 1, 1), (0, 0, 0, 0, 0)),
    ],
)
def test_auto_merges_until_every_group_has_enough(
    counts: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    data = clustered(counts, PLACES)
    groups = groups_of("auto", data)
    assert groups == expected
    sizes = torch.zeros(max(groups) + 1).index_add_(
        0, torch.tensor(groups), torch.tensor(counts, dtype=torch.float32)
    )
    assert len(sizes) == 1 or bool((sizes >= ENOUGH).all())


def test_a_class_without_a_record() -> None:
    data = clustered((60, 60, 0), (0.0, 5.0, 9.0))
    assert len(set(groups_of("auto", data))) == 2


@pytest.mark.parametrize("kind", ["conv", "additive"])
@pytest.mark.parametrize("joint", [False, True])
def test_pooled_classes_keep_one_kernel(kind: Any, joint: bool) -> None:
    obfuscator, data = start(kind=kind), tiny.records()[0]
    with torch.no_grad():
        for parameter in obfuscator.layer.parameters():
            parameter.add_(0.01 * torch.randn(parameter.shape))
    settings = replace(SETTINGS, pool=(0, 1, 0, 1), joint=joint)
    fitted(obfuscator, "information", 0.3, settings=settings)
    for parameter in obfuscator.layer.parameters():
        assert torch.equal(parameter[0], parameter[2]) and torch.equal(parameter[1], parameter[3])
        assert not torch.equal(parameter[0], parameter[1])
    with torch.no_grad():
        laws = [
            obfuscator.distribution(data.inputs, torch.full_like(data.labels, c)) for c in (0, 2, 1)
        ]
    assert float(sf.objectives.label_leak(laws[0], laws[1])) == 0.0
    assert float(sf.objectives.label_leak(laws[0], laws[2])) > 0.0


def test_the_gradient_is_that_of_one_kernel() -> None:
    many, one = start().layer, sf.obfuscation.conditional((1, 8, 8), 1, 0.5).layer
    data = tiny.records()[0]
    with tied(many, (0, 0, 0, 0)):
        for layer, labels in ((many, data.labels), (one, torch.zeros_like(data.labels))):
            location, scale = layer.params(data.inputs, labels)
            (location.square() * scale).mean().backward()
    for shared, single in zip(many.parameters(), one.parameters(), strict=True):
        assert shared.grad is not None and single.grad is not None and bool(single.grad.any())
        for own in shared.grad:
            torch.testing.assert_close(own, single.grad[0])


def test_the_hooks_are_gone_afterwards() -> None:
    obfuscator = start()
    fitted(obfuscator, settings=replace(SETTINGS, pool=2), labels_known=True)
    weight: Any = obfuscator.layer.weight
    weight.grad = None
    own = torch.arange(4.0).reshape(4, 1, 1, 1, 1)
    (weight * own).sum().backward()
    found: Any = weight.grad
    assert torch.equal(found, own.expand_as(weight))


def test_a_layer_with_more_classes_than_the_data() -> None:
    obfuscator = sf.obfuscation.conditional((1, 8, 8), 6, 0.5)
    layer: Any = obfuscator.layer
    before = layer.weight[4:].clone()
    fitted(obfuscator, settings=replace(SETTINGS, pool=2, label_penalty=0.0), labels_known=True)
    assert torch.equal(layer.weight[4:], before)


def test_an_unconditional_layer_has_nothing_to_pool() -> None:
    obfuscator = sf.obfuscation.isotropic((1, 8, 8), 0.5)
    fitted(obfuscator, settings=replace(SETTINGS, pool="auto"))


def test_modules_of_ones_own_cannot_be_pooled() -> None:
    layer = sf.nn.Conditional(4, lambda: sf.nn.StochasticConv2d(1, 1, 3, padding=1))
    with pytest.raises(SettingError, match="of a Conditional cannot be pooled"):
        fitted(sf.Obfuscator(layer), settings=replace(SETTINGS, pool=2))


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        (0, "at least 1 group, not 0"),
        ("always", "'never', 'auto', a number"),
        (5, "4 classes cannot be pooled into 5 groups"),
        ((0, 0), "a group, 0 or more, for each of 4 classes"),
        ((0, 0, 0, -1), "a group, 0 or more, for each of 4 classes"),
    ],
)
def test_pools_that_cannot_be(pool: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        fitted(start(), settings=FitSettings(pool=pool))
