"""The network attack: where it must beat every linear decoder, and what it may be shown."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import sfumato as sf
from sfumato.errors import SettingError
from sfumato.privacy import DecoderSettings, Knowledge, LinearDecoder, NetworkDecoder
from sfumato.privacy.attacks import LinearAttack, NetworkAttack
from tests.privacy.toys import (
    Additive,
    ByScale,
    Correlated,
    Mixed,
    Untold,
    gaussian,
    leak,
    scene,
    stripes,
    wiener_leak,
)

SHORT = DecoderSettings(steps=100, batch_size=64, width=8, lr=1e-2, check_every=50, patience=5)
STRIPES = stripes(1000, seed=1), stripes(300, seed=2)
SMALL = stripes(600, side=4, seed=1), stripes(300, side=4, seed=2)


def signs(count: int, size: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Vectors of +1 and -1, all elements by themselves."""
    order = torch.Generator().manual_seed(seed)
    bits = torch.randint(2, (count, size), generator=order)
    return 2 * bits.float() - 1, torch.zeros(count, dtype=torch.long)


def test_binary_records_are_more_than_their_covariance() -> None:
    # x = ±1 with noise σ = 0.6: the linear gain is 1 / (1 + σ²) = 0.735; the best estimate is
    # tanh(y / σ²), whose leak is E tanh²: 0.850 by quadrature.
    stage = scene(Additive(0.6), (signs(4000, seed=1), signs(1000, seed=2)), 1)
    linear = leak(stage, LinearAttack().run(stage))
    settings = DecoderSettings(steps=200, batch_size=128, lr=1e-2, check_every=50)
    network = leak(stage, NetworkAttack(settings).run(stage))
    assert linear == pytest.approx(1 / 1.36, abs=0.02)
    grid = torch.linspace(-6, 6, 20001, dtype=torch.float64)
    density = torch.exp(-grid.square() / 2) / (2 * torch.pi) ** 0.5
    best = float((density * torch.tanh((1 + 0.6 * grid) / 0.36)).sum() * (grid[1] - grid[0]))
    assert linear + 0.08 < network < best + 0.02


def test_vanishing_noise_and_ten_releases() -> None:
    quiet, one, ten = (scene(Additive(s), SMALL, 2, k) for s, k in ((1e-3, 1), (1.5, 1), (1.5, 10)))
    attack = NetworkAttack(DecoderSettings(steps=60, width=4, lr=1e-2, check_every=20))
    found = [leak(stage, attack.run(stage)) for stage in (quiet, one, ten)]
    assert found[0] > 0.999
    assert found[2] > found[1] + 0.3


def test_draws_are_averages_of_as_many_releases() -> None:
    # Trained on single releases of a scale that tells all, it would not know what to make of the
    # average of four, whose scale is half.
    x, labels = SMALL[0]
    known = Knowledge(x, labels, 2, [ByScale()], releases=4)
    drawn = known.draw(torch.ones(2000, 1, 4, 4), torch.zeros(2000, dtype=torch.long))
    # 32,000 numbers: the standard error of their deviation is 0.4 %.
    assert float(drawn.std()) == pytest.approx(1.1 / 2, rel=0.02)
    told = Knowledge(x, labels, 2, [Untold(Additive(2.0))], releases=9)
    assert float((told.draw(x, labels) - x.flatten(1)).std()) == pytest.approx(2 / 3, rel=0.05)


@pytest.mark.parametrize("size", [12, 40])
def test_releases_that_are_vectors(size: int) -> None:
    # Sizes below and above that of the picture, mixed so that no release has places.
    weight = torch.randn(size, 16) / size**0.5
    stage = scene(Mixed(weight, 0.4), SMALL)
    linear, network = (leak(stage, a.run(stage)) for a in (LinearAttack(), NetworkAttack(SHORT)))
    assert network > linear + 0.015


def test_releases_that_are_feature_maps() -> None:
    torch.manual_seed(3)
    pre = torch.nn.Conv2d(1, 4, 3, stride=2, padding=1)
    noise = sf.noise.Gaussian(min_scale=0.2)
    obfuscator = sf.Obfuscator(sf.nn.AdditiveNoise((4, 4, 4), noise=noise), pre=pre)
    weight = obfuscator.layer.get_parameter("weight")
    with torch.no_grad():
        weight[1] = -20.0  # softplus adds nothing to min_scale
    stage = scene(obfuscator, STRIPES)
    assert stage.seen.shape == (300, 4, 4, 4)
    linear, network = (leak(stage, a.run(stage)) for a in (LinearAttack(), NetworkAttack(SHORT)))
    assert network > linear + 0.05


def test_pictures_out_of_vectors_and_vectors_out_of_maps() -> None:
    quick = NetworkAttack(DecoderSettings(steps=4, width=2, check_every=2))
    layer = sf.nn.ConditionalLinear(2, 6, 3)
    x = torch.randn(60, 6), torch.arange(60) % 2
    y = torch.randn(20, 6), torch.arange(20) % 2
    stage = scene(sf.Obfuscator(layer), (x, y))
    guess = quick.run(stage).reconstructions
    assert guess is not None
    assert guess.shape == (20, 6)
    volumes = sf.Obfuscator(sf.nn.StochasticConv1d(2, 4, 3))
    x, y = ((torch.randn(n, 2, 5), torch.arange(n) % 2) for n in (60, 20))
    guess = quick.run(scene(volumes, (x, y))).reconstructions
    assert guess is not None
    assert guess.shape == (20, 2, 5)


def test_correlated_noise_is_no_obstacle() -> None:
    root = 0.5 * torch.linalg.cholesky(torch.eye(6) + 0.5)
    x = gaussian(500, torch.eye(6).double()).float(), torch.zeros(500, dtype=torch.long)
    y = gaussian(200, torch.eye(6).double(), 1).float(), torch.zeros(200, dtype=torch.long)
    stage = scene(Correlated(root), (x, y), 1)
    found = leak(stage, NetworkAttack(DecoderSettings(steps=20, check_every=10)).run(stage))
    expected = wiener_leak(torch.linalg.inv(torch.eye(6).double() + 0.5), 0.5)
    assert found == pytest.approx(expected, abs=0.1)
    assert found > 0.7


def test_the_budget_is_told() -> None:
    stage = scene(Additive(1.0), SMALL)
    spent = NetworkAttack(DecoderSettings(steps=10, width=2, check_every=5, patience=9)).run(stage)
    assert "whole budget of 10 steps" in spent.notes[0]
    assert "a lower bound" in spent.notes[0]
    assert spent.figures == {"steps": 10.0, "stopped": 0.0}
    wild = DecoderSettings(steps=500, width=2, lr=100.0, check_every=2, patience=2)
    early = NetworkAttack(wild).run(stage)
    assert early.figures["stopped"] == 1
    assert early.figures["steps"] < 100
    assert "no longer fell" in early.notes[0]


def test_the_linear_decoder_has_not_seen_the_validation_records(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[int] = []
    original = LinearDecoder.__init__

    def counted(self: LinearDecoder, knowledge: Knowledge, **given: bool) -> None:
        seen.append(len(knowledge.inputs))
        original(self, knowledge, **given)

    monkeypatch.setattr(LinearDecoder, "__init__", counted)
    NetworkAttack(DecoderSettings(steps=2, width=2, check_every=1)).run(scene(Additive(1.0), SMALL))
    assert seen == [540]


def test_no_double_precision_in_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    x, labels = STRIPES[0]
    known = Knowledge(x, labels, 2, [Additive(0.5)])
    decoder = NetworkDecoder(known, LinearDecoder(known), DecoderSettings(steps=1), seed=0)
    wide: list[torch.dtype] = []
    original = Tensor.double

    def noticed(self: Tensor, *rest: object) -> Tensor:
        wide.append(self.dtype)
        return original(self)

    monkeypatch.setattr(Tensor, "double", noticed)
    assert decoder.reconstruct(known.draw(x, labels), labels).dtype == torch.float32
    assert not wide


def test_no_steps() -> None:
    with pytest.raises(SettingError, match="is the linear attack"):
        NetworkAttack(DecoderSettings(steps=0))
