"""What a certificate says of an obfuscator, and when it says nothing."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import sfumato as sf
from sfumato.errors import SettingError
from sfumato.obfuscation import bottleneck, class_mean, conditional, isotropic
from sfumato.privacy import (
    Certificate,
    certify,
    gaussian_epsilon,
    laplace_epsilon,
    laplace_renyi,
    renyi_epsilon,
    renyi_gaussian,
)

SHAPE = (1, 3, 4)
LAPLACE = sf.noise.Laplace()
SLACK = 1e-5  # what rounding is given


def additive(
    scales: Tensor, bound: tuple[float, float] | None, law: sf.noise.LocationScale
) -> sf.Obfuscator:
    """Conditional additive noise with these scales `[C, n]`."""
    layer = sf.nn.ConditionalAdditiveNoise(len(scales), scales.shape[1:], law, bound)
    with torch.no_grad():
        excess = scales - law.min_scale
        layer.weight[:, 1] = excess + torch.log(-torch.expm1(-excess))
    return sf.Obfuscator(layer)


def known(certificate: Certificate) -> float:
    assert certificate.epsilon is not None
    return certificate.epsilon


SCALES = torch.tensor([[3.0, 2.0, 4.0, 2.5], [2.0, 2.5, 3.0, 3.5]])


def test_elements_count_in_units_of_their_scale() -> None:
    found = certify(additive(SCALES, (-1.0, 1.0), sf.noise.Gaussian()))
    mu = float((2.0 / SCALES.double()).norm(dim=1).max())  # of the worst class
    assert found.certified and found.delta == 1e-5 and found.releases == 1
    assert known(found) == pytest.approx(gaussian_epsilon(mu, 1.0, 1e-5), rel=SLACK)
    assert found.diameter == pytest.approx(4.0) and found.scale == pytest.approx(2.0)


@pytest.mark.parametrize(("size", "releases"), [(4, 1), (2, 1), (1, 2)])
def test_laplace_noise_is_pure(size: int, releases: int) -> None:
    scales = SCALES[:, :size]
    found = certify(additive(scales, (0.0, 1.0), LAPLACE), releases=releases)
    rate = float((1 / scales.double()).sum(1).max())
    assert found.certified and found.delta == 0.0 and "pure ε" in found.words
    assert known(found) == pytest.approx(laplace_epsilon(rate, 1.0, releases), rel=SLACK)
    assert found.diameter == pytest.approx(size)


def test_many_laplace_elements_are_better_with_a_delta() -> None:
    found = certify(isotropic_bounded(64, 10.0, LAPLACE))
    expected = renyi_epsilon(lambda order: 64 * laplace_renyi(order, 0.1), 1e-5)
    assert found.delta == 1e-5
    assert known(found) == pytest.approx(expected, rel=1e-4) and known(found) < 6.4


def isotropic_bounded(size: int, sigma: float, law: sf.noise.LocationScale) -> sf.Obfuscator:
    layer = sf.nn.AdditiveNoise((size,), law, (0.0, 1.0))
    layer.load_state_dict(isotropic((size,), sigma, noise=law).layer.state_dict())
    return sf.Obfuscator(layer)


@pytest.mark.parametrize("law", [sf.noise.Gaussian(), LAPLACE])
@pytest.mark.parametrize("classes", [None, 3])
def test_the_bottleneck(law: sf.noise.LocationScale, classes: int | None) -> None:
    made = bottleneck(SHAPE, 4, 8.0, clip=2.0, num_classes=classes, noise=law)
    found = certify(made, releases=2)
    gaussian = isinstance(law, sf.noise.Gaussian)
    pure = laplace_epsilon(4.0 * math.sqrt(4), 8.0, 2)
    expected = gaussian_epsilon(4.0, 8.0, 1e-5, 2) if gaussian else pure
    assert found.certified and known(found) == pytest.approx(expected, rel=SLACK)
    assert found.diameter == pytest.approx(4.0 if gaussian else 8.0)
    assert "clipped to a norm of 2" in found.premise


def test_a_ball_within_a_box_takes_the_smaller() -> None:
    layer = sf.nn.AdditiveNoise((4,), bound=(-0.1, 0.1))
    layer.load_state_dict(isotropic((4,), 1.0).layer.state_dict())
    found = certify(sf.Obfuscator(layer, pre=sf.nn.ClipNorm(5.0)))
    assert known(found) == pytest.approx(gaussian_epsilon(0.4, 1.0, 1e-5), rel=1e-4)


def test_a_shift_is_rounded_and_that_is_charged() -> None:
    made = bottleneck(SHAPE, 4, 1.0)
    before = certify(made)
    with torch.no_grad():
        made.layer.weight[0] = 1e6  # type: ignore[index]
    assert known(certify(made)) > 1.1 * known(before)


def test_a_secret_label_takes_all_classes_together() -> None:
    equal = torch.full((2, 4), 4.0)
    made = additive(equal, None, sf.noise.Gaussian())
    with torch.no_grad():
        made.layer.weight[1, 0] = 0.5  # type: ignore[index]
    made = sf.Obfuscator(made.layer, pre=sf.nn.ClipNorm(1.0))
    public, secret = certify(made), certify(made, labels_public=False)
    assert known(public) == pytest.approx(gaussian_epsilon(2.0, 4.0, 1e-5), rel=SLACK)
    assert known(secret) == pytest.approx(gaussian_epsilon(3.0, 4.0, 1e-5), rel=SLACK)
    assert "whatever labels" in secret.premise and "public label" in public.premise


def test_a_secret_label_and_scales_that_differ() -> None:
    scales = torch.tensor([[2.0] * 4, [2.1] * 4])
    found = certify(additive(scales, (0.0, 1.0), sf.noise.Gaussian()), labels_public=False)
    curve = partial(renyi_gaussian, diameter=2.0, low=2.0, high=2.1, dimensions=4)
    assert known(found) == pytest.approx(renyi_epsilon(curve, 1e-5), rel=1e-4)
    refused = certify(additive(scales, (0.0, 1.0), LAPLACE), labels_public=False)
    assert not refused.certified and "tells the label" in refused.reason


def linear(
    slope: float, law: sf.noise.LocationScale, bound: tuple[float, float] | None
) -> sf.nn.StochasticLinear:
    layer = sf.nn.StochasticLinear(3, 2, noise=law, bound=bound)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 0, 0], [0, 0.5, 0], [slope, 0, 0], [0, slope, 0]]))
        assert layer.bias is not None
        layer.bias.copy_(torch.tensor([0.0, 0, 3, 3]))
    return layer


def test_the_route_of_a_scale_that_depends_on_the_record() -> None:
    pre, law = sf.nn.ClipNorm(1.0), sf.noise.Gaussian()
    found = certify(sf.Obfuscator(linear(0.05, law, None), pre=pre), shape=(2,))
    low, high = (float(law.constrain((torch.tensor(r),) * 2)[1]) for r in (2.95, 3.05))
    curve = partial(renyi_gaussian, diameter=2.0, low=low, high=high, dimensions=2)
    assert found.certified and "scale depends on the record" in found.mechanism
    assert known(found) == pytest.approx(renyi_epsilon(curve, 1e-5), rel=1e-4)
    refused = certify(sf.Obfuscator(linear(0.05, LAPLACE, None), pre=pre), shape=(2,))
    assert not refused.certified and "depends on the record" in refused.reason


def test_kernels_without_a_slope_of_the_scale() -> None:
    scale = float(sf.noise.Gaussian().constrain((torch.tensor(3.0),) * 2)[1])
    clipped = sf.Obfuscator(linear(0.0, sf.noise.Gaussian(), None), pre=sf.nn.ClipNorm(1.0))
    free = certify(clipped, shape=(2,))
    assert known(free) == pytest.approx(gaussian_epsilon(2.0, scale, 1e-5), rel=1e-4)
    made = sf.Obfuscator(linear(0.0, sf.noise.Gaussian(), (0.0, 1.0)))
    bound = certify(made, shape=(2,))
    assert known(bound) == pytest.approx(gaussian_epsilon(math.sqrt(2), scale, 1e-5), rel=1e-4)


def test_convolutions_need_the_shape_of_a_release() -> None:
    made = conditional((1, 4, 4), 3, 4.0, bound=(0.0, 1.0))  # begins with no slope of the scale
    assert "pass shape=" in certify(made).reason
    found = certify(made, shape=(1, 4, 4))
    assert known(found) == pytest.approx(gaussian_epsilon(4.0, 4.0, 1e-5), rel=1e-4)
    with pytest.raises(SettingError, match="does not come from a layer with 1 outputs"):
        certify(made, shape=(2, 4, 4))


def constant(conditional: bool, bound: tuple[float, float] | None) -> sf.nn.StochasticModule:
    """Kernels from 3 features to 2 whose scale is the same for every record."""
    plain = linear(0.0, sf.noise.Gaussian(), bound)
    if not conditional:
        return plain
    layer = sf.nn.ConditionalLinear(2, 3, 2, bound=bound)
    layer.load_state_dict({k: torch.stack([v, v]) for k, v in plain.state_dict().items()})
    return layer


@pytest.mark.parametrize("conditional", [False, True])
def test_a_sequence_costs_every_step(conditional: bool) -> None:
    """A fully connected layer takes vectors and sequences alike: nothing is assumed."""
    scale, labels = float(sf.noise.Gaussian().constrain((torch.tensor(3.0),) * 2)[1]), [0, 1]
    made = sf.Obfuscator(constant(conditional, (0.0, 1.0)))
    assert made.release(torch.rand(2, 50, 3), torch.tensor(labels)).shape == (2, 50, 2)
    assert not certify(made).certified and "pass shape=" in certify(made).reason
    steps, vector = certify(made, shape=(50, 2)), certify(made, shape=(2,))
    assert known(steps) == pytest.approx(gaussian_epsilon(10.0, scale, 1e-5), rel=1e-4)
    assert "a release is 50 × 2 in size" in steps.premise
    assert known(vector) == pytest.approx(gaussian_epsilon(math.sqrt(2), scale, 1e-5), rel=1e-4)
    assert known(vector) < known(steps)


@pytest.mark.parametrize("conditional", [False, True])
def test_the_steps_of_a_clipped_sequence_share_its_norm(conditional: bool) -> None:
    scale = float(sf.noise.Gaussian().constrain((torch.tensor(3.0),) * 2)[1])
    made = sf.Obfuscator(constant(conditional, None), pre=sf.nn.ClipNorm(1.0))
    found = certify(made, shape=(50, 2))
    assert known(found) == pytest.approx(gaussian_epsilon(2.0, scale, 1e-5), rel=1e-4)
    ends = torch.zeros(2, 50, 3)
    ends[:, 7, 0] = torch.tensor([9.0, -9.0])  # W stretches the first feature most
    means = made.distribution(ends, torch.tensor([0, 0])).mean
    assert float((means[0] - means[1]).norm().detach()) == pytest.approx(2.0, rel=1e-4)


def test_the_other_route_counts_the_steps_too() -> None:
    pre, law = sf.nn.ClipNorm(1.0), sf.noise.Gaussian()
    made = sf.Obfuscator(linear(0.05, law, None), pre=pre)
    assert not certify(made).certified
    low, high = (float(law.constrain((torch.tensor(r),) * 2)[1]) for r in (2.95, 3.05))
    for steps in (1, 50):
        curve = partial(renyi_gaussian, diameter=2.0, low=low, high=high, dimensions=2 * steps)
        found = certify(made, shape=(steps, 2))
        assert known(found) == pytest.approx(renyi_epsilon(curve, 1e-5), rel=1e-4)


def test_a_large_bias_is_rounded_and_that_is_charged() -> None:
    layer = linear(0.0, sf.noise.Gaussian(), None)
    made = sf.Obfuscator(layer, pre=sf.nn.ClipNorm(1.0))
    before = known(certify(made, shape=(2,)))
    with torch.no_grad():
        assert layer.bias is not None
        layer.bias[:2] = 1e7
    assert known(certify(made, shape=(2,))) > 1.1 * before


@pytest.mark.parametrize("number", [np.int64(3), np.uint8(3)])
def test_whole_numbers_of_numpy(number: Any) -> None:
    made = bottleneck(SHAPE, 4, 8.0)
    found = certify(made, releases=number)
    assert found == certify(made, releases=3) and type(found.releases) is int
    for bad in (np.float64(3.0), np.bool_(True), 3.0, True):
        with pytest.raises(SettingError, match="releases must be"):
            certify(made, releases=bad)  # type: ignore[arg-type]


def test_the_learned_selection_is_covered_where_it_looks_at_no_record() -> None:
    layer = additive(torch.tensor([[1.0] * 4, [9.0] * 4]), (0.0, 1.0), sf.noise.Gaussian()).layer
    labelled = known(certify(sf.Obfuscator(layer)))
    soft = sf.nn.SoftSelection(2)
    merged = certify(sf.Obfuscator(layer, soft))
    assert known(merged) == labelled and "obf(x)" not in merged.premise
    sigmoids = sf.nn.SoftSelection(2, normalize=False)  # both at 0: a scale of softplus(0)
    nn.init.constant_(sigmoids.logits, -30.0)
    assert known(certify(sf.Obfuscator(layer, sigmoids))) > 1.2 * labelled
    each = sf.nn.SoftSelection(2, (4,), combine="mixture")
    assert known(certify(sf.Obfuscator(layer, each))) == pytest.approx(labelled)
    hooked = sf.nn.SoftSelection(2)
    hooked.register_forward_hook(lambda *_: torch.zeros(2))
    for selection in (hooked, Tilted(2)):
        assert "nor obf(x)" in certify(sf.Obfuscator(layer, selection)).premise
    gate = certify(sf.Obfuscator(layer, nn.Linear(4, 2)))
    assert "nor obf(x)" in gate.premise and known(gate) == labelled


def test_an_epsilon_above_twenty_says_nothing() -> None:
    found = certify(bottleneck(SHAPE, 4, 0.5), releases=3)
    assert not found.certified and known(found) > 20
    assert found.words == f"Not certified: {found.reason}."
    assert f"ε = {known(found):.4g} at δ = 1e-05 for 3 releases is above 20" in found.reason


class Tilted(sf.nn.SoftSelection):  # type: ignore[misc]
    """A selection whose shares are others than it says."""

    def forward(self) -> Tensor:
        return 0 * self.logits


class Own(nn.Module):
    """Regular layers of a user's own."""

    def forward(self, x: Tensor) -> Tensor:
        return x


REFUSED: dict[str, tuple[Callable[[], sf.Obfuscator], str]] = {
    "no bound": (lambda: isotropic(SHAPE, 1.0), "location is not bounded"),
    "a class mean": (lambda: class_mean(torch.zeros(2, 4), 1.0), "location is not bounded"),
    "clipped too early": (
        lambda: sf.Obfuscator(
            isotropic((4,), 1.0).layer, pre=nn.Sequential(sf.nn.ClipNorm(1.0), nn.Linear(4, 4))
        ),
        "location is not bounded: sf.nn.ClipNorm must come last",
    ),
    "own layers": (lambda: sf.Obfuscator(isotropic((4,), 1.0).layer, pre=Own()), "not bounded"),
    "kernels": (
        lambda: sf.Obfuscator(sf.nn.ConditionalConv2d(2, 1, 1, 3, bound=(0.0, 1.0))),
        "scale depends on the record",
    ),
    "kernels without a bound": (
        lambda: sf.Obfuscator(linear(0.0, sf.noise.Gaussian(), None)),
        "location is not bounded",
    ),
    "a network": (
        lambda: sf.Obfuscator(sf.nn.Stochastic(nn.Linear(4, 8), bound=(0.0, 1.0))),
        "scale of a Stochastic depends on the record",
    ),
    "counts": (
        lambda: sf.Obfuscator(sf.nn.StochasticLinear(4, 3, noise=sf.noise.Binomial(3))),
        "Binomial noise has no guarantee",
    ),
    "statistics of a batch": (
        lambda: sf.Obfuscator(
            isotropic((4,), 9.0).layer, pre=nn.Sequential(nn.BatchNorm1d(4), sf.nn.ClipNorm(1.0))
        ),
        "mixes the records of a batch",
    ),
    "half precision": (lambda: bottleneck(SHAPE, 4, 9.0).half(), "half precision"),
    "NaN": (lambda: damaged(math.nan), "NaN or infinite"),
    "infinity": (lambda: damaged(math.inf), "NaN or infinite"),
}


def damaged(value: float) -> sf.Obfuscator:
    made = bottleneck(SHAPE, 4, 9.0)
    with torch.no_grad():
        made.layer.weight[1, 2] = value  # type: ignore[index]
    return made


@pytest.mark.parametrize("name", REFUSED)
def test_no_certificate_without_a_premise(name: str) -> None:
    made, reason = REFUSED[name]
    found = certify(made())
    assert not found.certified and found.epsilon is None
    assert reason in found.reason and found.words.startswith("Not certified: ")


def test_batch_statistics_that_are_fixed_are_taken() -> None:
    pre = nn.Sequential(nn.BatchNorm1d(4), sf.nn.ClipNorm(1.0))
    assert certify(sf.Obfuscator(isotropic((4,), 9.0).layer, pre=pre).eval()).certified


def test_certifying_changes_and_draws_nothing() -> None:
    made = bottleneck(SHAPE, 4, 9.0, num_classes=3)
    made.selection = sf.nn.SoftSelection(3, combine="mixture")
    digest, state = made.digest(), torch.get_rng_state()
    assert certify(made) == certify(made)
    assert made.digest() == digest and torch.equal(torch.get_rng_state(), state)


def test_the_words_say_what_it_rests_on() -> None:
    words = certify(bottleneck(SHAPE, 4, 9.0, num_classes=3), releases=7).words
    for part in ("7 releases", "ε = ", "δ = 1e-05", "public label", "not covered", "parameters"):
        assert part in words
    assert [field.name for field in dataclasses.fields(Certificate)][:4] == [
        "certified", "epsilon", "delta", "releases",
    ]  # fmt: skip


@pytest.mark.parametrize("arguments", [{"delta": 0.0}, {"delta": 1.0}, {"releases": 0}])
def test_figures_that_cannot_be(arguments: dict[str, float]) -> None:
    with pytest.raises(SettingError):
        certify(isotropic(SHAPE, 1.0), **arguments)  # type: ignore[arg-type]
