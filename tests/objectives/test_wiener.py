"""The Wiener leak against closed forms, against the decoder itself, and its cheap variants."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import (
    Independent,
    Laplace,
    LowRankMultivariateNormal,
    MultivariateNormal,
    Normal,
)

import sfumato as sf
from sfumato.data import digits
from sfumato.errors import DataError, SettingError
from sfumato.objectives import Emission, OnRecords, wiener_leak
from tests.privacy import toys


@pytest.mark.parametrize(("count", "size"), [(200, 6), (12, 30)], ids=["tall", "wide"])
@pytest.mark.parametrize("noise", [0.05, 1.0, 20.0])
def test_the_closed_form(count: int, size: int, noise: float) -> None:
    sigma = toys.covariance(size)
    x = toys.gaussian(count, sigma)
    x = x - x.mean(0)
    expected = toys.wiener_leak(x.T @ x / count, noise)
    found = wiener_leak(Normal(x, torch.full_like(x, noise)), x)
    assert float(found) == pytest.approx(expected, abs=1e-6)


def decoded(obfuscator: sf.Obfuscator, x: Tensor, labels: Tensor) -> float:
    """The leak of the linear decoder on the records it was made from, exact over all draws."""
    knowledge = sf.privacy.Knowledge(x, labels, 10, [obfuscator])
    decoder = sf.privacy.LinearDecoder(knowledge, pooled=True, shrink=False)
    with torch.no_grad():
        law = obfuscator.distribution(x, labels)
    records, mean = x.flatten(1).double(), law.mean.flatten(1).double()
    own = records - decoder.means[labels]
    cross = (mean - decoder.centres[labels]).double().T @ own.double() / len(x)
    shares = torch.bincount(labels) / len(x)
    # A_c (C_y + S_c) = C_xy: what a decoder recovers is tr(A_c C_yx).
    recovered = [
        s * (a.double() @ cross).trace() for s, a in zip(shares, decoder.gains, strict=True)
    ]
    return float(torch.stack(recovered).sum() / (own.double().square().sum() / len(x)))


def shown(obfuscator: sf.Obfuscator, x: Tensor, labels: Tensor) -> Emission:
    with sf.record(obfuscator) as emitted:
        release = obfuscator.obfuscate(x, labels)
    return Emission(emitted, x, labels, release, obfuscator)


@pytest.mark.parametrize("sigma", [0.1, 0.4, 2.0])
@pytest.mark.parametrize("own", [False, True], ids=["one noise", "noise of each class"])
def test_it_is_the_leak_of_the_linear_decoder(sigma: float, own: bool) -> None:
    data, generator = digits()[0], torch.Generator().manual_seed(0)
    x, labels = data.inputs[:600], data.labels[:600]
    obfuscator = sf.obfuscation.conditional((1, 8, 8), 10, sigma)
    layer: Any = obfuscator.layer
    with torch.no_grad():
        layer.weight[:, :1] += 0.1 * torch.randn(1, 1, 1, 3, 3, generator=generator)
        layer.bias[:, 0] += torch.randn(10, generator=generator)
        if own:
            layer.bias[:, 1] += torch.randn(10, generator=generator)
    objective = OnRecords(wiener_leak, records=600, classes=10 if own else 0)
    with torch.no_grad():
        found = float(objective(shown(obfuscator, x, labels)))
    assert found == pytest.approx(decoded(obfuscator, x, labels), abs=1e-4)
    assert 0.01 < found < 0.98


def test_noise_for_one_class_does_not_hide_another() -> None:
    data = digits()[0]
    x, labels = data.inputs[:600], data.labels[:600]
    obfuscator = sf.obfuscation.conditional((1, 8, 8), 10, 0.1, kind="additive")
    layer: Any = obfuscator.layer
    with torch.no_grad():
        layer.weight[3, 1] = 50.0
    emission, found = shown(obfuscator, x, labels), {}
    torch.manual_seed(0)
    for classes in (0, 10, 1):
        objective = OnRecords(wiener_leak, records=600, classes=classes)
        with torch.no_grad():
            found[classes] = torch.stack([objective(emission) for _ in range(60)])
    assert float(found[0].mean()) < 0.1 and float(found[10].min()) > 0.75
    # One in ten draws sees next to nothing: the mean of 60 has a standard error of 0.035, and is
    # within five of them but for 1 in a million.
    assert float(found[1].mean()) == pytest.approx(float(found[10][0]), abs=0.18)
    assert len(found[1].unique()) > 1 and len(found[10].unique()) == 1


def test_other_classes_lend_their_spread() -> None:
    # Class 0 has 3 records of 40 elements: alone they would be recovered whole from much noise.
    labels = torch.tensor([0] * 3 + [1] * 397)
    x = torch.randn(400, 40, generator=torch.Generator().manual_seed(0)) + labels.unsqueeze(1)
    obfuscator = sf.obfuscation.conditional((40,), 2, 1.0, kind="additive")
    objective = OnRecords(wiener_leak, classes=2)
    with torch.no_grad():
        found = float(objective(shown(obfuscator, x, labels)))
    assert found == pytest.approx(0.5, abs=0.05)


def test_the_label_is_no_leak() -> None:
    labels = torch.arange(40) % 2
    x = labels.double().unsqueeze(1).expand(-1, 3) + 1e-3 * torch.randn(40, 3, dtype=torch.float64)
    law = Normal(x, torch.full_like(x, 0.1))
    assert float(wiener_leak(law, x, labels)) < 0.01
    assert float(wiener_leak(law, x)) > 0.9


def test_what_is_dropped_is_not_recovered() -> None:
    x = torch.randn(4000, 2, dtype=torch.float64)
    x = (x - x.mean(0)) / x.std(0)
    seen = x * torch.tensor([1.0, 0.0])
    # One of two elements is gone, the other has as much noise as signal: ½ · ½.
    assert float(wiener_leak(Normal(seen, torch.ones_like(x)), x)) == pytest.approx(0.25, abs=0.01)


def test_releases_of_another_size() -> None:
    x = torch.randn(50, 3, 4)
    law = Normal(x.flatten(1)[:, :5], torch.full((50, 5), 1e-3))
    found = float(wiener_leak(law, x))
    assert found == pytest.approx(5 / 12, abs=0.2) and found < 1


@pytest.mark.parametrize("kind", ["full", "low rank", "reshaped"])
def test_correlated_noise(kind: str) -> None:
    sigma, size, count = toys.covariance(4), 4, 3000
    x = toys.gaussian(count, sigma, exact=True)
    noise = 0.5 * toys.covariance(size, 0.2) + 0.1 * torch.eye(size)
    if kind == "low rank":
        factor = torch.randn(size, 2, dtype=torch.float64)
        noise = factor @ factor.T + 0.1 * torch.eye(size, dtype=torch.float64)
        law: Any = LowRankMultivariateNormal(x, factor, torch.full((size,), 0.1).double())
    else:
        law = MultivariateNormal(x, noise)
    if kind == "reshaped":
        reshape = torch.distributions.ReshapeTransform(torch.Size((4,)), torch.Size((2, 2)))
        law = torch.distributions.TransformedDistribution(law, [reshape])
    gain = sigma @ torch.linalg.inv(sigma + noise)
    expected = float((gain @ sigma).trace() / sigma.trace())
    assert float(wiener_leak(law, x)) == pytest.approx(expected, abs=1e-4)


def test_independent_elements_in_one_event() -> None:
    x = torch.randn(30, 4)
    law = Normal(x, torch.ones_like(x))
    assert torch.equal(wiener_leak(Independent(law, 1), x), wiener_leak(law, x))


@pytest.mark.parametrize("side", [2, 3, 8, 11])
def test_patches_are_a_lower_bound(side: int) -> None:
    # A decoder that sees the whole picture does better than one that sees a piece of it, but for
    # the overfit, which pieces have less of: so many records are needed here.
    data = digits()[0]
    x, labels = data.inputs, data.labels
    law = Normal(x, torch.full_like(x, 0.3))
    whole, part = (float(wiener_leak(law, x, labels, patch=p)) for p in (None, side))
    if side >= 8:
        assert part == pytest.approx(whole, abs=1e-9)
    else:
        assert 0.3 < part / whole < 1


@pytest.mark.parametrize("family", [Normal, Laplace])
@pytest.mark.parametrize("moved", [0.0, 1.0], ids=["scale alone", "location and scale"])
def test_a_scale_that_depends_on_the_record_tells(family: Any, moved: float) -> None:
    # Against least squares of the record on releases and their squares, over many draws.
    x = torch.tensor([0.0, 0.3, 0.5, 1.0, 1.6, 2.0], dtype=torch.float64).unsqueeze(1)
    law = family(moved * x, 0.3 + x)
    torch.manual_seed(0)
    d = law.sample((200_000,)).flatten() - float((moved * x).mean())
    shown = torch.stack([d, d.square(), torch.ones_like(d)], 1)
    target = x.squeeze(1).repeat(200_000)
    fit = shown @ torch.linalg.lstsq(shown, target.unsqueeze(1)).solution
    expected = 1 - (fit.squeeze(1) - target).var() / target.var()
    found = float(wiener_leak(law, x))
    # An R² from 1.2 million draws: its standard error is below 0.002, even of fourth powers.
    assert found == pytest.approx(float(expected), abs=0.01) and found > 0.05
    linear = float(wiener_leak(law, x, scales=False))
    assert linear < found and (moved or linear == 0.0)


def test_squares_are_looked_at_where_the_scale_depends_on_the_record() -> None:
    x = torch.randn(50, 4, dtype=torch.float64)
    one, own = Normal(x, torch.full_like(x, 0.5)), Normal(x, torch.rand_like(x) + 0.2)
    for law, squared in ((one, False), (own, True)):
        found = wiener_leak(law, x)
        assert torch.equal(found, wiener_leak(law, x, scales=squared))
        assert not torch.equal(found, wiener_leak(law, x, scales=not squared))


@pytest.mark.parametrize("patch", [None, 2])
@pytest.mark.parametrize("labelled", [True, False])
def test_gradients_through_location_and_scale(patch: int | None, labelled: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(12, 1, 4, 4, dtype=torch.float64)
    labels = torch.arange(12) % 2 if labelled else None

    def leak(location: Tensor, raw: Tensor) -> Tensor:
        return wiener_leak(Normal(location, raw.exp()), x, labels, patch=patch)

    location, raw = (0.5 * torch.randn_like(x) for _ in range(2))
    torch.autograd.gradcheck(
        leak, ((x + location).requires_grad_(), raw.requires_grad_()), fast_mode=True
    )


def test_squares_of_a_law_that_is_not_known() -> None:
    law = torch.distributions.Gumbel(torch.zeros(4, 2), 1.0)
    assert float(wiener_leak(law, torch.rand(4, 2))) == 0.0
    with pytest.raises(DataError, match="not for Gumbel"):
        wiener_leak(law, torch.rand(4, 2), scales=True)


def test_more_records_flatter_less() -> None:
    x = torch.randn(2000, 40, dtype=torch.float64)
    few, many = (
        float(wiener_leak(Normal(x[:n], torch.ones_like(x[:n])), x[:n])) for n in (20, 2000)
    )
    assert few > many == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("message", "arguments", "settings"),
    [
        ("at least two records", (torch.ones(1, 2), torch.ones(1, 2)), {}),
        ("3 records and 4 laws", (torch.ones(4, 2), torch.ones(3, 2)), {}),
        ("pictures", (torch.ones(4, 9), torch.ones(4, 1, 2, 2)), {"patch": 2}),
        ("pictures", (torch.ones(4, 2), torch.ones(4, 2)), {"patch": 2}),
        ("patches of 0", (torch.ones(4, 1, 2, 2),) * 2, {"patch": 0}),
    ],
)
def test_what_cannot_be_used(message: str, arguments: Any, settings: Any) -> None:
    locations, records = arguments
    with pytest.raises(DataError, match=message):
        wiener_leak(Normal(locations, torch.ones_like(locations)), records, **settings)


def test_patches_of_correlated_noise() -> None:
    law = MultivariateNormal(torch.zeros(4, 4), torch.eye(4))
    with pytest.raises(DataError, match="leave patch out"):
        wiener_leak(law, torch.zeros(4, 1, 2, 2), patch=2)


def test_a_law_that_does_not_tell() -> None:
    law = torch.distributions.Dirichlet(torch.ones(4, 3))
    with pytest.raises(DataError, match="under a Dirichlet"):
        wiener_leak(law, torch.rand(4, 3))


def test_one_record_is_too_few() -> None:
    with pytest.raises(SettingError, match="at least 2, not 1"):
        OnRecords(wiener_leak, records=1)


def test_classes_that_cannot_be() -> None:
    with pytest.raises(SettingError, match="0 or more, not -1"):
        OnRecords(wiener_leak, classes=-1)


def test_the_settings_are_told() -> None:
    told = OnRecords(wiener_leak, 64, patch=2).config()
    assert told == {"measure": "wiener_leak", "records": 64, "classes": 1, "patch": 2}
