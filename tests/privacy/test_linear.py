"""The linear decoder is the Wiener filter, exactly."""

from __future__ import annotations

import pytest
import torch

from sfumato.privacy import LinearDecoder
from sfumato.privacy.knowledge import Knowledge
from tests.privacy.toys import Additive, ByLabel, covariance, gaussian, known, wiener

SIGMA = covariance(6)
RECORDS = gaussian(200, SIGMA, exact=True)


@pytest.mark.parametrize("noise", [0.05, 0.5, 3.0])
@pytest.mark.parametrize("pooled", [True, False])
def test_it_is_the_wiener_filter(noise: float, pooled: bool) -> None:
    decoder = LinearDecoder(known(RECORDS, [Additive(noise)]), pooled=pooled, shrink=False)
    torch.testing.assert_close(decoder.gains[0], wiener(SIGMA, noise), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(decoder.means[0], torch.zeros(6, dtype=torch.float64))


def test_reconstruction() -> None:
    decoder = LinearDecoder(known(RECORDS + 5, [Additive(0.5)]), pooled=True, shrink=False)
    release = torch.randn(4, 6, dtype=torch.float64) + 5
    expected = (release - 5) @ wiener(SIGMA, 0.5).T + 5
    found = decoder.reconstruct(release, torch.zeros(4, dtype=torch.long))
    torch.testing.assert_close(found, expected.float(), rtol=1e-5, atol=1e-5)


def test_no_linear_decoder_does_better() -> None:
    # The expected error over the noise, in closed form: E|x - A y|² for a disturbed A.
    gain = LinearDecoder(known(RECORDS, [Additive(0.7)]), pooled=True, shrink=False).gains[0]

    def error(a: torch.Tensor) -> float:
        missed = torch.eye(6, dtype=torch.float64) - a
        return float((missed @ SIGMA @ missed.T).trace() + 0.7**2 * (a @ a.T).trace())

    for seed in range(20):
        step = torch.randn(6, 6, generator=torch.Generator().manual_seed(seed)) * 0.01
        assert error(gain) < error(gain + step.double())


def test_every_class_has_its_own() -> None:
    # Class 0 spreads along another direction than class 1; the label says which.
    spreads = [torch.diag(torch.tensor(v, dtype=torch.float64)) for v in ([4.0, 0.1], [0.1, 4.0])]
    parts = [gaussian(100, spread, seed, exact=True) for seed, spread in enumerate(spreads)]
    inputs = torch.stack([parts[0] + 10, parts[1] - 10], 1).flatten(0, 1)
    knowledge = known(inputs, [Additive(1.0)], classes=2)
    own = LinearDecoder(knowledge, pooled=False, shrink=False)
    for c, spread in enumerate(spreads):
        torch.testing.assert_close(own.gains[c], wiener(spread, 1.0), rtol=1e-6, atol=1e-7)
    both = LinearDecoder(knowledge, pooled=True, shrink=False)
    between = (spreads[0] + spreads[1]) / 2
    torch.testing.assert_close(both.gains[0], wiener(between, 1.0), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(own.means[:, 0], torch.tensor([10.0, -10.0]).double())


def test_location_and_scale_of_each_label_are_known() -> None:
    factors, shifts = torch.tensor([2.0, -0.5]).double(), torch.tensor([3.0, -7.0]).double()
    mechanism = ByLabel(factors, shifts, torch.tensor([0.4, 1.5]).double())
    inputs = RECORDS.repeat_interleave(2, 0)  # both classes hold the same records
    decoder = LinearDecoder(known(inputs, [mechanism], classes=2), pooled=False, shrink=False)
    for c, (a, s) in enumerate([(2.0, 0.4), (-0.5, 1.5)]):
        # a x + s ε tells what x + (s / a) ε tells.
        expected = wiener(SIGMA, abs(s / a)) / a
        torch.testing.assert_close(decoder.gains[c], expected, rtol=1e-6, atol=1e-7)
    noiseless = mechanism.distribution(inputs, torch.arange(400) % 2).mean
    guess = decoder.reconstruct(noiseless, torch.arange(400) % 2)
    expected = inputs[::2] @ (decoder.gains[0] * 2.0).T
    torch.testing.assert_close(guess[::2], expected.float(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("releases", [2, 4])
def test_several_releases_are_averaged(releases: int) -> None:
    decoder = LinearDecoder(known(RECORDS, [Additive(1.2)] * releases), pooled=True, shrink=False)
    assert decoder.gains[0].shape == (6, 6 * releases)
    one = wiener(SIGMA, 1.2 / releases**0.5) / releases
    expected = torch.cat([one] * releases, 1)
    torch.testing.assert_close(decoder.gains[0], expected, rtol=1e-5, atol=1e-7)


def test_a_louder_release_counts_for_less() -> None:
    decoder = LinearDecoder(
        known(RECORDS, [Additive(0.5), Additive(5.0)]), pooled=True, shrink=False
    )
    quiet, loud = decoder.gains[0].split(6, 1)
    torch.testing.assert_close(loud, quiet / 100, rtol=1e-5, atol=1e-8)


def test_a_class_with_one_record_gets_its_mean() -> None:
    labels = torch.tensor([0] * 199 + [1])
    decoder = LinearDecoder(
        Knowledge(RECORDS, labels, 2, [Additive(0.5)]), pooled=False, shrink=False
    )
    guess = decoder.reconstruct(torch.randn(3, 6), torch.ones(3, dtype=torch.long))
    torch.testing.assert_close(guess, RECORDS[-1].float().expand(3, -1))


@pytest.mark.parametrize("pooled", [True, False])
def test_an_absent_class_gets_the_mean_of_all(pooled: bool) -> None:
    labels = torch.zeros(200, dtype=torch.long)
    decoder = LinearDecoder(
        Knowledge(RECORDS + 2, labels, 3, [Additive(0.5)]), pooled=pooled, shrink=False
    )
    found = decoder.reconstruct(torch.full((1, 6), 2.0), torch.tensor([2]))
    torch.testing.assert_close(found, torch.full((1, 6), 2.0), rtol=1e-6, atol=1e-6)


def test_vanishing_noise_and_equal_pixels_are_no_singular_matrix() -> None:
    flat = torch.randn(50, 1, dtype=torch.float64).expand(-1, 6)  # covariance of rank one
    decoder = LinearDecoder(known(flat, [Additive(1e-9)]), pooled=True, shrink=False)
    found = decoder.reconstruct(flat, torch.zeros(50, dtype=torch.long))
    torch.testing.assert_close(found, flat.float(), rtol=1e-4, atol=1e-4)
