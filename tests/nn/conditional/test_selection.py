"""Selections: the learned one, the background class, and what each form means."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import sfumato as sf
from sfumato.errors import DataError, SettingError
from sfumato.nn import SoftSelection, add_background
from tests.nn.cases import CLASSES, a_layer


@pytest.mark.parametrize("shape", [(), (2,), (2, 4, 5)])
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_it_starts_uniform(shape: tuple[int, ...], normalize: bool, classes: int) -> None:
    pi = SoftSelection(classes, shape, normalize=normalize)()
    assert pi.shape == (classes, *shape)
    torch.testing.assert_close(pi, torch.full_like(pi, 1 / classes))


@pytest.mark.parametrize("normalize", [True, False])
def test_values_lie_between_0_and_1(normalize: bool) -> None:
    soft = SoftSelection(4, (3, 2), normalize=normalize)
    torch.nn.init.normal_(soft.logits, std=30.0)
    pi = soft()
    assert (pi >= 0).all()
    assert (pi <= 1).all()
    torch.testing.assert_close(pi.sum(0), torch.ones(3, 2)) if normalize else None


def test_its_config_makes_it_again() -> None:
    soft = SoftSelection(4, (3,), "output", "mixture", temperature=0.5)
    config = soft.config()
    assert SoftSelection(**config).config() == config
    assert "combine='mixture'" in repr(soft)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_classes": 0}, "num_classes must be at least 1"),
        ({"place": "middle"}, "unknown place 'middle': use 'input' or 'output'"),
        ({"combine": "product"}, "unknown combine 'product': use 'sum' or 'mixture'"),
        ({"combine": "mixture", "normalize": False}, "π must sum to 1: use normalize=True"),
        ({"temperature": 0.0}, "temperature must be above 0, not 0.0"),
        ({"temperature": float("nan")}, "temperature must be above 0"),
    ],
)
def test_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        SoftSelection(**{"num_classes": 3, **settings})


def test_the_background_takes_what_no_class_claims() -> None:
    mask = torch.tensor([[[True, False, False, True]], [[False, False, True, True]]])
    mask = mask.transpose(0, 1)  # [1, 2, 4]
    rest = torch.tensor([False, True, False, False])
    assert torch.equal(add_background(mask)[0], torch.cat([mask[0], rest[None]]))
    shares = torch.tensor([[[0.25, 0.0, 1.0], [0.5, 0.0, 1.0]]])
    assert torch.equal(add_background(shares)[0, 2], torch.tensor([0.25, 1.0, 0.0]))


def test_pixels_of_no_class_pass_through_the_background() -> None:
    layer = sf.nn.ConditionalConv2d(3, 1, 1, 1)
    x, mask = torch.randn(1, 1, 2, 2), torch.zeros(1, 2, 2, 2, dtype=torch.bool)
    mask[0, 1, 0, 0] = True
    location, scale = layer.params(x, add_background(mask))
    mine, rest = (layer.params(x, torch.tensor([c])) for c in (1, 2))
    for found, one, other in zip((location, scale), mine, rest, strict=True):
        torch.testing.assert_close(found[0, 0, 0, 0], one[0, 0, 0, 0])
        torch.testing.assert_close(found[0, 0, 1], other[0, 0, 1])


def test_masks_with_the_classes_last() -> None:
    layer, (x, _) = a_layer("ConditionalConv2d")
    with pytest.raises(DataError, match=r"stand second, \[B, 3, \.\.\.\].*use \.movedim\(-1, 1\)"):
        layer(x, torch.rand(4, 5, 5, CLASSES))


def test_one_selection_serves_all_records() -> None:
    layer, (x, _) = a_layer("ConditionalConv2d")
    pi = torch.rand(1, CLASSES, 2, 5, 5)
    wanted = layer.params(x, pi.expand(4, -1, -1, -1, -1))
    torch.testing.assert_close(layer.params(x, pi), wanted)


def test_a_soft_selection_is_the_tensor_it_holds() -> None:
    layer, (x, _) = a_layer("ConditionalConv2d")
    for shape in ((), (2,), (2, 5, 5), (1, 5, 5), (2, 1, 5)):
        soft = SoftSelection(CLASSES, shape)
        torch.nn.init.normal_(soft.logits)
        pi = soft().detach().reshape(1, CLASSES, *shape, *(1,) * (3 - len(shape)))
        torch.testing.assert_close(layer.params(x, soft), layer.params(x, pi))
