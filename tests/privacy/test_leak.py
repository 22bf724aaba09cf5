"""The leak against its analytic value, from nothing hidden to nothing told."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import sfumato as sf
from sfumato.errors import DataError, SettingError
from sfumato.obfuscation import class_mean, isotropic
from sfumato.privacy import DecoderSettings, Leak, measure_leak
from tests.privacy.toys import Additive, covariance, gaussian, stripes, wiener_leak

QUICK = DecoderSettings(steps=4, batch_size=16, width=2, check_every=2, patience=1)
SIGMA = covariance(6)


def attacked(
    noise: float, releases: int = 1, count: int = 4000, settings: DecoderSettings = QUICK
) -> Leak:
    """The leak of Gaussian records, with as many auxiliary records as attacked ones."""
    auxiliary, target = (gaussian(count, SIGMA, seed).float() for seed in (1, 2))
    labels = torch.zeros(count, dtype=torch.long)
    mechanisms = [Additive(noise)] * releases
    return measure_leak(mechanisms, (auxiliary, labels), (target, labels), 1, settings=settings)


@pytest.mark.parametrize("noise", [0.3, 1.0, 2.0])
def test_the_analytic_value(noise: float) -> None:
    # 4000 records of 6 elements: the standard error of the ratio is below 0.01.
    leak = attacked(noise)
    assert leak.linear == pytest.approx(wiener_leak(SIGMA, noise), abs=0.015)
    assert leak.records == 4000


@pytest.mark.parametrize("releases", [1, 4])
def test_releases_add_up(releases: int) -> None:
    leak = attacked(1.5, releases)
    assert leak.linear == pytest.approx(wiener_leak(SIGMA, 1.5 / releases**0.5), abs=0.015)


def test_four_releases_of_one_record_leak_more() -> None:
    assert attacked(1.5, 4).strongest > attacked(1.5, 1).strongest + 0.2


def test_vanishing_noise_hides_nothing() -> None:
    assert attacked(1e-4, count=300).strongest > 0.9999


def test_overwhelming_noise_hides_all() -> None:
    assert attacked(100.0, count=1000).strongest == pytest.approx(0, abs=0.01)


def pictures(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Stripes, made continuous: `[N, 1, 4, 4]`."""
    inputs, labels = stripes(count, side=4, seed=seed)
    noise = torch.randn(inputs.shape, generator=torch.Generator().manual_seed(seed))
    return inputs + 0.1 * noise, labels


def test_class_mean_and_noise_leaks_nothing() -> None:
    inputs, labels = pictures(500, seed=1)
    means = torch.stack([inputs[labels == c].mean(0) for c in (0, 1)])
    mechanism = class_mean(means, sigma=0.5)
    settings = DecoderSettings(steps=60, batch_size=32, width=4, check_every=10, patience=6)
    leak = measure_leak(
        mechanism, (inputs, labels), pictures(500, seed=2), 2, settings=settings, seed=3
    )
    # 500 auxiliary and 500 attacked records of 16 elements: what is not 0 here is over-fitting.
    assert leak.linear == pytest.approx(0, abs=1e-6)
    assert -0.05 < leak.network < 0.02
    assert leak.strongest == pytest.approx(0, abs=0.02)


def test_the_label_alone_is_no_leak() -> None:
    # The classes lie far apart: an attacker without the label would seem to recover nearly all.
    inputs = gaussian(600, SIGMA, seed=4).float()
    labels = torch.arange(600) % 2
    inputs = inputs + 50 * labels.unsqueeze(1)
    halves = (inputs[:300], labels[:300]), (inputs[300:], labels[300:])
    leak = measure_leak(Additive(30.0), *halves, 2, settings=QUICK)
    assert leak.strongest < 0.05


def test_per_class_decoder_where_classes_spread_differently() -> None:
    spreads = [torch.diag(torch.tensor(v).double()) for v in ([9.0, 0.01], [0.01, 9.0])]
    labels = torch.arange(2000) % 2

    def records(seed: int) -> tuple[Tensor, Tensor]:
        parts = [gaussian(1000, spread, seed + c) for c, spread in enumerate(spreads)]
        return torch.stack(parts, 1).flatten(0, 1).float(), labels

    leak = measure_leak(Additive(3.0), records(1), records(5), 2, settings=QUICK)
    own = (wiener_leak(spreads[0], 3.0) + wiener_leak(spreads[1], 3.0)) / 2
    pooled = wiener_leak((spreads[0] + spreads[1]) / 2, 3.0)
    assert own > pooled + 0.1
    assert leak.linear == pytest.approx(own, abs=0.03)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (sf.nn.ConditionalConv2d(2, 1, 3, 3, stride=2, padding=1), (1, 4, 4)),
        (sf.nn.ConditionalConv2d(2, 1, 1, 3), (1, 4, 4)),
        (sf.nn.ConditionalLinear(2, 6, 4), (6,)),
        (sf.nn.ConditionalLinear(2, 6, 6), (6,)),
        (sf.nn.StochasticConv1d(2, 4, 3, padding=1), (2, 5)),
        (sf.nn.StochasticConv3d(1, 1, 1), (1, 3, 3, 3)),
    ],
    ids=["stride 2", "smaller", "fewer features", "vectors", "sequences", "volumes"],
)
def test_releases_of_any_shape(layer: sf.nn.StochasticModule, shape: tuple[int, ...]) -> None:
    inputs, labels = torch.randn(60, *shape), torch.arange(60) % 2
    parts = (inputs[:40], labels[:40]), (inputs[40:], labels[40:])
    leak = measure_leak(sf.Obfuscator(layer), *parts, 2, settings=QUICK)
    assert leak.strongest < 1
    release = sf.Obfuscator(layer).release(*parts[1])
    guess = leak.reconstruct(release.flatten(1), parts[1][1])
    assert guess.reshape(parts[1][0].shape).isfinite().all()


def test_the_strongest_attacker_counts() -> None:
    def reconstruct(releases: Tensor, labels: Tensor) -> Tensor:
        return releases

    none = torch.zeros(5)
    assert Leak(0.2, 0.3, 10, 5, reconstruct, none, none).strongest == 0.3
    assert Leak(0.2, -0.1, 10, 5, reconstruct, none, none).strongest == 0.2


def test_seeds_and_the_callers_random_state() -> None:
    before = torch.get_rng_state()
    first, again = attacked(1.0, count=200), attacked(1.0, count=200)
    assert (first.linear, first.network) == (again.linear, again.network)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_same_record_under_an_obfuscator() -> None:
    inputs, labels = gaussian(400, SIGMA, seed=7).float(), torch.zeros(400, dtype=torch.long)
    parts = (inputs[:200], labels[:200]), (inputs[200:], labels[200:])
    ours = measure_leak(isotropic((6,), 0.8), *parts, 1, settings=QUICK)
    plain = measure_leak(Additive(0.8), *parts, 1, settings=QUICK)
    assert ours.linear == pytest.approx(plain.linear, abs=1e-4)


EMPTY = torch.zeros(0, 6), torch.zeros(0, dtype=torch.long)
SOME = torch.randn(5, 6), torch.arange(5) % 2


@pytest.mark.parametrize(
    ("mechanisms", "auxiliary", "target"),
    [([], SOME, SOME), (Additive(1.0), EMPTY, SOME), (Additive(1.0), SOME, EMPTY)],
    ids=["no mechanism", "no auxiliary record", "nothing to attack"],
)
def test_nothing_to_do(mechanisms: object, auxiliary: object, target: object) -> None:
    with pytest.raises(DataError, match="needs a mechanism, auxiliary records and records"):
        measure_leak(mechanisms, auxiliary, target, 2)  # type: ignore[arg-type]


def test_shapes_that_differ() -> None:
    other = torch.randn(5, 4), torch.arange(5) % 2
    with pytest.raises(DataError, match=r"auxiliary records are \[6\], attacked ones \[4\]"):
        measure_leak(Additive(1.0), SOME, other, 2)


def test_one_auxiliary_record() -> None:
    one = SOME[0][:1], SOME[1][:1]
    assert measure_leak(Additive(1.0), one, SOME, 2, settings=QUICK).strongest <= 1


@pytest.mark.parametrize("name", ["batch_size", "lr", "width", "check_every", "patience"])
def test_decoder_settings(name: str) -> None:
    wrong = {name: 0}
    with pytest.raises(SettingError, match=f"{name} must be above 0"):
        DecoderSettings(**wrong)


def test_no_steps_leave_the_attack_to_the_linear_decoders() -> None:
    leak = attacked(1.0, count=200, settings=DecoderSettings(steps=0))
    assert leak.steps == 0
    assert leak.network == pytest.approx(leak.linear, abs=1e-6)
