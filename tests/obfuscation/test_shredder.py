"""Shredder: how its noise is drawn, and what its training does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from sfumato.errors import DataError, SettingError
from sfumato.obfuscation.shredder import Shredder, ShredderSettings, shredder
from sfumato.privacy import Knowledge, LinearDecoder
from sfumato.privacy.attacks import Scene
from sfumato.train import Recipe
from tests.obfuscation import tiny
from tests.obfuscation.fitting import changed, state, trained

SHORT = ShredderSettings(
    tensors=2, scale=0.5, recipe=Recipe(epochs=4, min_steps=1, batch_size=64, lr=1e-2)
)


def test_a_draw_has_the_order_of_a_tensor_and_the_law_that_fits_it() -> None:
    torch.manual_seed(0)
    tensors = torch.distributions.Laplace(torch.tensor([[2.0], [-3.0]]), 1.5).sample((1, 50))
    tensors = tensors[0].squeeze(-1).T.reshape(2, 5, 10)
    made = Shredder(tensors)
    noise = made.noise(4000).flatten(1)
    order = noise.argsort(1)
    orders = tensors.flatten(1).argsort(1)
    which = torch.where((order == orders[0]).all(1), 0, 1)
    assert bool((order == orders[which]).all())
    share = float(which.float().mean())
    assert abs(share - 0.5) < 0.05  # 4,000 coins: six standard errors
    for k in range(2):
        drawn, fit = noise[which == k], tensors[k].flatten()
        assert float(drawn.median()) == pytest.approx(float(fit.median()), abs=0.1)
        spread = float((drawn - drawn.median()).abs().mean())
        assert spread == pytest.approx(float((fit - fit.median()).abs().mean()), rel=0.05)


def test_the_collection_itself() -> None:
    tensors = torch.randn(3, 1, 4, 4)
    made, x = Shredder(tensors, fitted=False), torch.rand(200, 1, 4, 4)
    noise = made.release(x) - x
    exact = "donot_use_mm_for_euclid_dist"
    near = torch.cdist(noise.flatten(1), tensors.flatten(1), compute_mode=exact)
    assert float(near.amin(1).max()) < 1e-5
    assert set(near.argmin(1).tolist()) == {0, 1, 2}


@pytest.mark.parametrize("fitted", [True, False])
def test_every_record_has_a_draw_of_its_own(fitted: bool) -> None:
    made, x = Shredder(torch.randn(50, 6), fitted=fitted), torch.zeros(60, 6)
    first, second = made.release(x), made.release(x)
    assert len(first.unique(dim=0)) > 20 and not torch.equal(first, second)


def test_training_grows_the_noise_and_keeps_the_accuracy() -> None:
    data, model = tiny.records()[0], trained()
    before = state(model)
    sizes = []
    for knob in (0.0, 1e-3, 1e-1):
        made = shredder(model, data, replace(SHORT, knob=knob))
        sizes.append(float(made.tensors.abs().mean()))
    assert sizes == sorted(set(sizes))
    assert not changed(model, before) and all(p.requires_grad for p in model.parameters())
    learning = replace(SHORT.recipe, epochs=40, lr=5e-2)
    loud = replace(SHORT, scale=3.0, knob=1e-4, recipe=learning)
    strong = shredder(model, data, loud, fitted=False)
    idle = replace(loud, recipe=replace(learning, epochs=1, lr=1e-9))
    plain = shredder(model, data, idle, fitted=False)

    def right(mechanism: Shredder) -> float:
        torch.manual_seed(0)
        with torch.no_grad():
            return float((model(mechanism(data.inputs)).argmax(1) == data.labels).float().mean())

    assert right(strong) > right(plain)


def test_the_target_ends_the_growth() -> None:
    data, model = tiny.records()[0], trained()
    longer = replace(SHORT, tensors=1, knob=0.1, recipe=replace(SHORT.recipe, epochs=60, lr=2e-2))
    free, held = (shredder(model, data, replace(longer, target=t)) for t in (None, 2.0))
    power = data.inputs.square().mean()
    ratio = float(held.tensors.var() / power)
    assert 1.5 < ratio < 4.0 < float(free.tensors.var() / power)


def test_at_a_cut() -> None:
    data = tiny.records()[0]
    pre, model = nn.Conv2d(1, 2, 3, stride=2), nn.Sequential(nn.Flatten(), nn.Linear(18, 4))
    made = shredder(model, data, SHORT, pre=pre)
    assert made.release(data.inputs[:3]).shape == (3, 2, 3, 3)
    assert made.tensors.shape == (2, 2, 3, 3)
    with torch.no_grad(), pytest.raises(DataError, match=r"the noise is \[2, 3, 3\]"):
        made(torch.zeros(1, 1, 16, 16))


def test_it_is_seeded_and_can_be_stored() -> None:
    data = tiny.records()[0]
    first, second, other = (shredder(trained(), data, SHORT, seed=s) for s in (0, 0, 1))
    assert torch.equal(first.tensors, second.tensors)
    assert not torch.equal(first.tensors, other.tensors)
    empty = Shredder(torch.zeros_like(first.tensors))
    empty.load_state_dict(first.state_dict())
    drawn = []
    for made in (first, empty):
        torch.manual_seed(3)
        drawn.append(made.release(data.inputs[:4]))
    assert torch.equal(*drawn)


def test_attackers_meet_it_as_any_mechanism() -> None:
    data, held = tiny.records()
    made: Any = shredder(trained(), data, SHORT)
    scene = Scene.of(made, data, held, releases=2)
    assert scene.seen.shape == held.inputs.shape


def test_one_tensor_as_it_is_hides_nothing() -> None:
    data, held = tiny.records()
    leaks = []
    for made in (
        Shredder(3.0 * torch.randn(1, 1, 8, 8), fitted=False),
        Shredder(3.0 * torch.distributions.Laplace(0.0, 1.0).sample((20, 1, 8, 8))),
    ):
        mechanism: Any = made  # it has no law: the attacker looks at draws
        torch.manual_seed(0)
        known = Knowledge(data.inputs, data.labels, tiny.CLASSES, [mechanism])
        decoder = LinearDecoder(known, pooled=True)
        guess = decoder.reconstruct(made.release(held.inputs).flatten(1), held.labels)
        x, means = held.inputs.flatten(1), decoder.means.float()[held.labels]
        leaks.append(float(1 - (guess - x).square().sum() / (means - x).square().sum()))
    assert leaks[0] > 0.99 and leaks[1] < 0.5


@pytest.mark.parametrize("change", [{"tensors": 0}, {"scale": 0.0}, {"knob": -1.0}])
def test_settings_that_cannot_be(change: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="Shredder needs"):
        ShredderSettings(**change)


def test_no_tensor() -> None:
    with pytest.raises(SettingError, match=r"a collection is \[K"):
        Shredder(torch.zeros(0, 3))
