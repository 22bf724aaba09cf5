"""The selection of step 2 fits what the layer reads, or the fit says so before step 1."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

import sfumato as sf
from sfumato.errors import DataError
from sfumato.obfuscation import FitSettings, bottleneck
from sfumato.obfuscation.first_selection import first_selection
from sfumato.privacy import certify
from sfumato.train import Recipe
from tests.obfuscation import tiny
from tests.obfuscation.fitting import SETTINGS, changed, start, state

QUICK = Recipe(epochs=1, min_steps=0)
ELEMENTS = FitSettings(kernels=QUICK, selection=QUICK)  # one value for each element, the default


def head(size: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(size, tiny.CLASSES))


def test_the_call_that_the_certificate_page_recommends() -> None:
    obfuscator = bottleneck((1, 8, 8), 16, sigma=1.0, clip=1.0, num_classes=tiny.CLASSES)
    data = tiny.records()[0]
    history = sf.fit(obfuscator, head(16), data, settings=ELEMENTS, target_epsilon=4.0, delta=1e-5)
    assert [entry["step"] for entry in history] == [1, 2]
    found = certify(obfuscator, delta=1e-5)
    assert found.certified and found.epsilon is not None and found.epsilon <= 4.0
    assert obfuscator.selection is not None
    assert obfuscator.selection.logits.shape == (tiny.CLASSES, 16)
    assert obfuscator(data.inputs[:3]).shape == (3, 16)


def strided(**arguments: Any) -> sf.Obfuscator:
    layer = sf.nn.ConditionalConv2d(tiny.CLASSES, 2, 3, 3, stride=2, padding=1)
    return sf.Obfuscator(layer, pre=nn.Conv2d(1, 2, 2, stride=2), **arguments)


@pytest.mark.parametrize(
    ("place", "shape"), [("input", (2, 4, 4)), ("output", (3, 2, 2))], ids=["input", "output"]
)
def test_behind_layers_that_change_the_shape(place: Any, shape: tuple[int, ...]) -> None:
    obfuscator, settings = strided(), replace(ELEMENTS, place=place)
    sf.fit(obfuscator, head(12), tiny.records()[0], settings=settings)
    assert obfuscator.selection is not None
    assert obfuscator.selection.logits.shape == (tiny.CLASSES, *shape)


def test_without_regular_layers_it_has_the_shape_of_a_record() -> None:
    obfuscator = start()
    sf.fit(obfuscator, head(64), tiny.records()[0], settings=ELEMENTS)
    assert obfuscator.selection is not None
    assert obfuscator.selection.logits.shape == (tiny.CLASSES, 1, 8, 8)


@pytest.mark.parametrize("given", ["settings", "obfuscator"])
def test_one_that_does_not_fit_is_told_before_step_1(given: str) -> None:
    wrong = (1, 8, 8)
    selection = sf.nn.SoftSelection(tiny.CLASSES, wrong) if given == "obfuscator" else None
    obfuscator, seen = strided(selection=selection), []
    settings = replace(ELEMENTS, shape=wrong if given == "settings" else None)
    before = state(obfuscator)
    with pytest.raises(DataError):
        sf.fit(obfuscator, head(12), tiny.records()[0], settings=settings, progress=seen.append)
    assert not seen and not changed(obfuscator, before)
    assert all(p.requires_grad for p in obfuscator.parameters()) and obfuscator.training


def test_trying_it_out_leaves_no_trace() -> None:
    """Statistics of a batch, modes and the random state stay as they were."""
    obfuscator = sf.Obfuscator(
        sf.nn.ConditionalConv2d(tiny.CLASSES, 1, 1, 3, padding=1), pre=nn.BatchNorm2d(1)
    )
    before, drawn = state(obfuscator), torch.get_rng_state()
    settings = replace(ELEMENTS, combine="mixture")
    made = first_selection(obfuscator, tiny.records()[0], settings, 0)
    assert isinstance(made, sf.nn.SoftSelection) and made.logits.requires_grad
    assert obfuscator.selection is None and obfuscator.pre.training
    assert all(p.requires_grad for p in obfuscator.parameters())
    assert not changed(obfuscator, before)
    assert torch.equal(torch.get_rng_state(), drawn)


def test_known_labels_need_no_selection() -> None:
    obfuscator = strided()
    sf.fit(obfuscator, head(12), tiny.records()[0], settings=SETTINGS, labels_known=True)
    assert obfuscator.selection is None
