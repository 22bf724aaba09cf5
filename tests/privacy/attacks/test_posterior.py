"""The white-box attack finds the likeliest record, and says what it cannot climb through."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution, Laplace, MultivariateNormal, Normal

import sfumato as sf
from sfumato.errors import DataError, SettingError
from sfumato.privacy.attacks import LinearAttack, MapAttack
from sfumato.privacy.attacks.posterior import log_likelihood
from sfumato.privacy.attacks.prior import Prior, Weights
from sfumato.privacy.attacks.rows import Shrinkage
from tests.privacy.toys import (
    Additive,
    Correlated,
    LaplaceNoise,
    Untold,
    blobs,
    covariance,
    gaussians,
    leak,
    scene,
    wiener_leak,
)

BLOBS = blobs(400, seed=1), blobs(60, seed=2)
SIGMA = covariance(6)


def test_it_beats_the_raw_release_and_the_linear_decoder_on_flat_pictures() -> None:
    stage = scene(Additive(0.2), BLOBS, 1)
    outcome = MapAttack(steps=50, variations=(0.0, 0.03), gaussians=(0.3, 1.0)).run(stage)
    raw = 1 - 0.2**2 / float(
        stage.target.inputs.sub(stage.auxiliary.inputs.mean(0)).square().mean()
    )
    found = leak(stage, outcome)
    assert found > raw + 0.4
    assert found > leak(stage, LinearAttack().run(stage)) + 0.01
    assert "total variation x 0," not in outcome.notes[0]


def test_it_is_the_wiener_filter_where_everything_is_gaussian() -> None:
    # The mode of a Gaussian is its mean.
    stage = scene(Additive(1.0), gaussians((3000, 500), SIGMA), 1)
    attack = MapAttack(steps=100, variations=(0.0,), gaussians=(1.0,))
    found, linear = (leak(stage, each.run(stage)) for each in (attack, LinearAttack()))
    assert found == pytest.approx(linear, abs=0.01)
    assert found == pytest.approx(wiener_leak(SIGMA, 1.0), abs=0.03)


def test_vanishing_noise_and_ten_releases() -> None:
    parts = gaussians((500, 200), SIGMA)
    attack = MapAttack(steps=50)
    found = [
        leak(stage, attack.run(stage))
        for stage in (scene(Additive(s), parts, 1, k) for s, k in ((1e-3, 1), (1.5, 1), (1.5, 10)))
    ]
    assert found[0] > 0.99  # what lies outside the attacker's range is cut
    assert found[2] > found[1] + 0.3


def test_it_climbs_through_regular_layers() -> None:
    # y = tanh(1.5 W x) + noise: a linear decoder does not undo the bend.
    weight = torch.linalg.qr(torch.randn(6, 6))[0]

    class Bent(Additive):
        def distribution(self, x: Tensor, selection: Tensor) -> Distribution:
            return Normal(torch.tanh(1.5 * x @ weight.T), torch.full_like(x, self.sigma))

        def release(self, x: Tensor, labels: Tensor) -> Tensor:
            return self.distribution(x, labels).sample()

    stage = scene(Bent(0.05), gaussians((1000, 200), torch.eye(6).double()), 1)
    found, linear = (leak(stage, each.run(stage)) for each in (MapAttack(), LinearAttack()))
    assert found > linear + 0.03


def test_weights_are_chosen_on_auxiliary_records() -> None:
    # Of flat pictures the total variation wins; white noise it would blur.
    flat = scene(Additive(0.2), BLOBS, 1)
    order = torch.Generator().manual_seed(0)
    x, y = (
        (torch.randn(n, 1, 8, 8, generator=order), torch.zeros(n, dtype=torch.long))
        for n in (400, 60)
    )
    noise = scene(Additive(0.4), (x, y), 1)
    attack = MapAttack(steps=40, variations=(0.0, 0.1), gaussians=(0.0, 1.0), trials=32)
    assert "total variation x 0.1" in attack.run(flat).notes[0]
    assert "total variation x 0, Gaussian prior x 1" in attack.run(noise).notes[0]


def test_vectors_have_no_variation() -> None:
    stage = scene(Additive(0.5), gaussians((200, 20), SIGMA), 1)
    outcome = MapAttack(steps=5, variations=(0.5, 1.0), gaussians=(0.0,)).run(stage)
    assert "total variation x 0, Gaussian prior x 1" in outcome.notes[0]


@pytest.mark.parametrize("releases", [1, 5])
def test_the_likelihood_of_an_average(releases: int) -> None:
    x, y, labels = torch.randn(4, 6), torch.randn(4, 6), torch.zeros(4, dtype=torch.long)
    found = log_likelihood(Additive(2.0), x, labels, y, releases)
    expected = Normal(x, 2.0 / releases**0.5).log_prob(y).sum(1)
    torch.testing.assert_close(found, expected)
    root = torch.linalg.cholesky(SIGMA).float()
    found = log_likelihood(Correlated(root), x, labels, y, releases)
    known = MultivariateNormal(x, root @ root.T / releases)
    torch.testing.assert_close(found, known.log_prob(y), rtol=1e-4, atol=1e-4)
    found = log_likelihood(LaplaceNoise(1.0), x, labels, y, releases)
    law = Laplace(x, 1.0) if releases == 1 else Normal(x, (2 / releases) ** 0.5)
    torch.testing.assert_close(found, law.log_prob(y).sum(1))


def test_the_priors() -> None:
    inputs = torch.zeros(40, 1, 4, 4)
    inputs[:20, :, :, 2:] = 1.0  # one edge in every row of half of the pictures
    inputs += 0.01 * torch.randn(inputs.shape)
    prior = Prior(inputs, torch.zeros(40, dtype=torch.long), 1, Shrinkage(math.inf, 0.3))
    labels = torch.zeros(2, dtype=torch.long)
    smooth, rough = torch.zeros(1, 4, 4), torch.rand(1, 4, 4)
    pair = torch.stack([smooth, rough])
    for weights in (Weights(1.0, 0.0), Weights(0.0, 1.0), Weights(0.5, 0.5)):
        energy = prior(pair, labels, weights)
        assert energy.shape == (2,)
        assert float(energy[1]) > float(energy[0])
    assert prior(pair, labels, Weights(2.0, 0.0)) == pytest.approx(
        2 * prior(pair, labels, Weights(1.0, 0.0))
    )


@pytest.mark.parametrize("pooled", [True, False])
def test_the_gaussian_prior_has_the_moments_of_the_records(pooled: bool) -> None:
    (x, labels), _ = gaussians((5000, 1), SIGMA, 2)
    prior = Prior(x + 3 * labels.unsqueeze(1), labels, 2, Shrinkage.none(pooled))
    inverse = torch.linalg.inv(SIGMA).float()
    assert len(prior.precisions) == (1 if pooled else 2)
    for found in prior.precisions:
        # 2500 records of 6 elements: entries of the inverse are known to about 3 % of its diagonal.
        assert float((found - inverse).abs().max()) < 0.15 * float(inverse.diagonal().max())
    at_mean = prior(prior.means, torch.arange(2), Weights(0.0, 1.0))
    assert at_mean.tolist() == pytest.approx([0, 0])
    one = prior(prior.means + 1, torch.tensor([0, 1]), Weights(0.0, 2.0))
    assert one.tolist() == pytest.approx([float(inverse.sum())] * 2, rel=0.1)


def test_parameters_collect_no_gradient() -> None:
    layer = sf.nn.ConditionalLinear(1, 6, 6)
    layer.weight.requires_grad_(True)
    stage = scene(sf.Obfuscator(layer), gaussians((100, 10), SIGMA), 1)
    MapAttack(steps=2).run(stage)
    assert layer.weight.grad is None
    assert layer.weight.requires_grad


def test_a_law_that_is_not_told() -> None:
    stage = scene(Untold(Additive(1.0)), gaussians((100, 10), SIGMA), 1)
    with pytest.raises(SettingError, match=r"needs mechanism\.distribution.* with a log_prob"):
        MapAttack(steps=2).run(stage)


def test_a_law_without_a_gradient() -> None:
    class Cut(Additive):
        def distribution(self, x: Tensor, selection: Tensor) -> Distribution:
            return Normal(x.detach(), self.sigma)

    stage = scene(Cut(1.0), gaussians((100, 10), SIGMA), 1)
    with pytest.raises(SettingError, match="no gradient comes back"):
        MapAttack(steps=2).run(stage)


def test_an_average_without_a_law() -> None:
    class Heavy(Additive):
        def distribution(self, x: Tensor, selection: Tensor) -> Distribution:
            return torch.distributions.Cauchy(x, torch.full_like(x, self.sigma))

    stage = scene(Heavy(1.0), gaussians((100, 10), SIGMA), 1, releases=3)
    with pytest.raises(DataError, match="no finite variance"):
        MapAttack(steps=2).run(stage)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps must be above 0"),
        ({"lr": 0.0}, "lr must be above 0"),
        ({"trials": 0}, "trials must be above 0"),
        ({"variations": (0.0,), "gaussians": (0.0,)}, "at least one weight"),
    ],
)
def test_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        MapAttack(**settings)  # type: ignore[arg-type]
