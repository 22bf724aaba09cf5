"""Cloak: which features bear noise, and what stands for those that nobody needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import sfumato as sf
from sfumato.data.records import Records
from sfumato.errors import SettingError, UnauditedWarning
from sfumato.obfuscation.cloak import CloakSettings, Suppressed, cloak
from sfumato.train import Recipe
from tests.obfuscation import tiny
from tests.obfuscation.fitting import changed, state, trained

SHORT = Recipe(epochs=40, min_steps=1, batch_size=50, lr=1e-1)
SETTINGS = CloakSettings(scale_recipe=SHORT, constant_recipe=SHORT)


def two_of_four() -> tuple[nn.Linear, Records]:
    """A network that looks at the first two of four features."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(200) % 2
    x = torch.randn(200, 4, generator=generator)
    x[:, :2] += 4.0 * labels.unsqueeze(1) - 2.0
    model = nn.Linear(4, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[-1.0, -1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]]))
        model.bias.zero_()
    return model, Records(x, labels, ("a", "b"))


def scales(obfuscator: sf.Obfuscator) -> torch.Tensor:
    layer: Any = obfuscator.layer
    return layer.noise.constrain((layer.weight[0], layer.weight[1]))[1].detach()


def test_features_that_nobody_needs_bear_the_noise() -> None:
    model, data = two_of_four()
    before = state(model)
    obfuscator = cloak(model, data, replace(SETTINGS, suppress=0.0))
    found = scales(obfuscator)
    assert float(found[2:].min()) > 1.9 and float(found[:2].max()) < 0.8 * float(found[2:].min())
    assert isinstance(obfuscator.pre, nn.Identity) and not changed(model, before)
    assert all(p.requires_grad for p in model.parameters())


def test_they_are_replaced_by_constants() -> None:
    model, data = two_of_four()
    obfuscator = cloak(model, data, SETTINGS)
    release = obfuscator.release(data.inputs, data.labels)
    assert torch.allclose(release[:, 2:].std(0), torch.zeros(2), atol=2e-3)
    assert float(release[:, :2].std(0).min()) > 1.0
    with torch.no_grad():
        assert float((model(release).argmax(1) == data.labels).float().mean()) > 0.9


def test_constants_are_learned() -> None:
    # The third feature says nothing, but its mean moves the decision by 4: 0 would not.
    model, data = two_of_four()
    with torch.no_grad():
        model.weight.add_(torch.tensor([[0.0, 0.0, -0.1, 0.0], [0.0, 0.0, 0.1, 0.0]]))
    data.inputs[:, 2] += 20.0
    plain, learned = (
        cloak(model, data, replace(SETTINGS, constant_recipe=replace(SHORT, lr=lr)))
        for lr in (1e-9, 0.1)
    )
    layer: Any = learned.layer
    assert float(layer.weight[0, 2].detach()) < 19.5
    losses = []
    for obfuscator in (plain, learned):
        release = obfuscator.release(data.inputs, data.labels)
        with torch.no_grad():
            losses.append(float(nn.functional.cross_entropy(model(release), data.labels)))
    assert losses[1] < losses[0]


def test_the_knob_and_the_range_of_the_scales() -> None:
    data, model = tiny.records()[0], trained()
    means = []
    for knob in (0.01, 0.5, 20.0):
        settings = replace(SETTINGS, knob=knob, scales=(0.1, 1.5), suppress=0.0)
        found = scales(cloak(model, data, settings))
        assert float(found.min()) >= 0.1 and float(found.max()) <= 1.5 + 1e-5
        means.append(float(found.mean()))
    assert means == sorted(set(means))


def test_records_have_draws_of_their_own_and_one_law() -> None:
    model, data = two_of_four()
    obfuscator = cloak(model, data, replace(SETTINGS, suppress=0.0))
    x = torch.zeros(500, 4)
    release = obfuscator.release(x, torch.zeros(500, dtype=torch.long))
    law = obfuscator.distribution(x)
    assert len(release.unique(dim=0)) == 500
    assert torch.allclose(release.std(0), law.stddev[0], rtol=0.2)
    assert torch.equal(obfuscator(x).isfinite(), torch.ones_like(x, dtype=torch.bool))


def test_seeds() -> None:
    model, data = two_of_four()
    short = replace(SETTINGS, scale_recipe=replace(SHORT, epochs=2))
    digests = [cloak(model, data, short, seed=s).digest() for s in (0, 0, 1)]
    assert digests[0] == digests[1] != digests[2]


def test_it_can_be_stored(tmp_path: Path) -> None:
    model, data = two_of_four()
    made = cloak(model, data, SETTINGS)
    made.save(tmp_path / "cloak")
    with pytest.warns(UnauditedWarning):
        again = sf.Obfuscator.load(tmp_path / "cloak", pre=Suppressed(torch.ones(4)))
    assert again.digest() == made.digest()


@pytest.mark.parametrize(
    "change",
    [{"knob": -1.0}, {"scales": (0.0, 1.0)}, {"scales": (2.0, 1.0)}, {"suppress": 1.0}],
    ids=str,
)
def test_settings_that_cannot_be(change: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        CloakSettings(**change)
