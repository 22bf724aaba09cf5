"""The decoder network: never weaker than the linear decoder, and stronger where it can be."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from sfumato.privacy import DecoderSettings, LinearDecoder, NetworkDecoder, measure_leak
from sfumato.privacy.knowledge import Knowledge
from tests.privacy.toys import Additive, ByScale, covariance, gaussian, known, stripes


def test_it_starts_as_the_linear_decoder() -> None:
    knowledge = known(gaussian(50, covariance(6)).float(), [Additive(1.0)])
    linear = LinearDecoder(knowledge, pooled=True)
    # A rate so small that nothing is learned.
    settings = DecoderSettings(steps=1, batch_size=4, width=2, lr=1e-12, check_every=1)
    network = NetworkDecoder(knowledge, linear, settings, seed=0)
    release, labels = torch.randn(9, 6), torch.zeros(9, dtype=torch.long)
    expected = linear.reconstruct(release, labels)
    torch.testing.assert_close(network.reconstruct(release, labels), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("lr", [1e-3, 10.0])
def test_it_is_never_weaker_on_its_validation_records(lr: float) -> None:
    inputs, labels = stripes(300, side=4)
    knowledge = Knowledge(inputs, labels, 2, [Additive(0.7)])
    linear = LinearDecoder(knowledge, pooled=False)
    settings = DecoderSettings(steps=20, batch_size=16, width=2, lr=lr, check_every=5)
    network = NetworkDecoder(knowledge, linear, settings, seed=1)
    x, c = inputs[network.held], labels[network.held]
    with torch.no_grad():
        # Fresh draws, 200 of each of the 30 records: the mean error is known to about 1 %.
        x, c = x.repeat(200, 1, 1, 1), c.repeat(200)
        releases = knowledge.draw(x, c)
        errors = [F.mse_loss(d.reconstruct(releases, c), x.flatten(1)) for d in (network, linear)]
    assert float(errors[0]) <= 1.02 * float(errors[1])


def test_it_beats_every_linear_decoder_on_stripes() -> None:
    settings = DecoderSettings(
        steps=150, batch_size=64, width=8, lr=1e-2, check_every=50, patience=5
    )
    leak = measure_leak(
        Additive(0.7), stripes(1000, seed=1), stripes(500, seed=2), 2, settings=settings
    )
    assert leak.network > leak.linear + 0.1
    assert leak.strongest == leak.network
    releases = Additive(0.7).release(*stripes(100, seed=3))
    guess = leak.reconstruct(releases.flatten(1), stripes(100, seed=3)[1])
    assert guess.shape == (100, 64)


def test_it_reads_the_scale_of_the_noise() -> None:
    # To a linear decoder this release looks empty; whoever looks at its magnitude sees the line.
    settings = DecoderSettings(steps=150, batch_size=64, width=8, lr=1e-2, check_every=50)
    leak = measure_leak(
        ByScale(), stripes(600, side=4, seed=1), stripes(300, side=4, seed=2), 2, settings=settings
    )
    assert leak.linear == pytest.approx(0, abs=0.02)
    assert leak.network > 0.5


def test_it_sees_every_release() -> None:
    settings = DecoderSettings(steps=40, batch_size=32, width=4, lr=1e-2, check_every=20)
    parts = stripes(300, side=4, seed=1), stripes(300, side=4, seed=2)
    one, four = (
        measure_leak([Additive(1.0)] * k, *parts, 2, settings=settings).network for k in (1, 4)
    )
    assert four > one + 0.1


def test_it_stops_when_it_no_longer_gains() -> None:
    knowledge = known(gaussian(80, covariance(6)).float(), [Additive(1.0)])
    linear = LinearDecoder(knowledge, pooled=True)
    settings = DecoderSettings(
        steps=500, batch_size=4, width=2, lr=100.0, check_every=2, patience=2
    )
    assert NetworkDecoder(knowledge, linear, settings, seed=0).steps < 100


def test_validation_records_are_held_out() -> None:
    knowledge = known(gaussian(80, covariance(6)).float(), [Additive(1.0)])
    linear = LinearDecoder(knowledge, pooled=True)
    settings = DecoderSettings(steps=1, batch_size=4, width=2)
    network = NetworkDecoder(knowledge, linear, settings, seed=0)
    both = torch.cat([network.held, network.used])
    assert len(network.held) == 8
    assert torch.equal(both.sort().values, torch.arange(80))
