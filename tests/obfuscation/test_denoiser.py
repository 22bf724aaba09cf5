"""The trainer's denoiser against the closed form."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution, MultivariateNormal, Normal

import sfumato as sf
from sfumato.data import digits
from sfumato.data.records import Records
from sfumato.errors import DataError, SettingError
from sfumato.obfuscation.denoiser import Denoiser
from tests.privacy import toys

SIGMA = toys.covariance(5)


def records(count: int = 3000, classes: int = 2) -> Records:
    """Gaussian records of covariance Σ around their class's mean."""
    x = toys.gaussian(count, SIGMA, exact=True)
    labels = torch.arange(count) % classes
    return Records((x + 3.0 * labels.unsqueeze(1)).float(), labels, tuple("abc"[:classes]))


@pytest.mark.parametrize("noise", [0.2, 1.0])
def test_with_labels_it_is_the_conditional_expectation(noise: float) -> None:
    data = records()
    denoise = Denoiser(toys.Additive(noise), data)
    gain = toys.wiener(SIGMA, noise)
    releases = data.inputs[:50] + noise
    expected = 3.0 * data.labels[:50].unsqueeze(1) + (
        (releases.double() - 3.0 * data.labels[:50].unsqueeze(1)) @ gain.T
    )
    found = denoise(releases, data.labels[:50])
    # The class means and covariances are those of halves of the sample.
    assert torch.allclose(found.double(), expected, atol=0.15)
    assert found.dtype == torch.float32 and found.shape == releases.shape


def test_without_labels_the_spread_of_the_classes_counts() -> None:
    data, noise = records(), 1.0
    x = data.inputs.double() - data.inputs.double().mean(0)
    total = x.T @ x / len(x)
    gain = total @ torch.linalg.inv(total + torch.eye(5, dtype=torch.float64))
    denoise = Denoiser(toys.Additive(noise), data, labelled=False)
    releases = data.inputs[:50] + 0.5
    mean = data.inputs.double().mean(0)
    assert torch.allclose(denoise(releases).double(), mean + (releases - mean).double() @ gain.T)


def test_it_brings_releases_nearer_and_nothing_more_to_know() -> None:
    data = digits()[0]
    clean, rest = data.subset(range(400)), data.subset(range(400, 1000))
    obfuscator = sf.obfuscation.isotropic((1, 8, 8), 0.5)
    torch.manual_seed(0)
    releases = obfuscator.release(rest.inputs, rest.labels)

    def error(guess: Tensor) -> float:
        return float((guess - rest.inputs).square().mean())

    before = error(releases)
    for labelled in (True, False):
        denoise = Denoiser(obfuscator, clean, labelled=labelled)
        assert error(denoise(releases, rest.labels)) < 0.3 * before
        assert torch.equal(denoise(releases, rest.labels), denoise(releases, rest.labels))


def test_each_class_is_denoised_by_its_own_noise() -> None:
    data = records()
    mechanism = toys.ByLabel(torch.ones(2), torch.zeros(2), torch.tensor([0.01, 50.0]))
    denoise = Denoiser(mechanism, data)
    releases = data.inputs[:6]
    found = denoise(releases, data.labels[:6])
    quiet, loud = data.labels[:6] == 0, data.labels[:6] == 1
    assert torch.allclose(found[quiet], releases[quiet], atol=0.02)
    means = torch.stack([data.inputs[data.labels == 1].mean(0)] * 3)
    assert torch.allclose(found[loud], means, atol=0.02)


def test_a_share_of_the_way() -> None:
    data = records()
    denoise, releases = Denoiser(toys.Additive(1.0), data), data.inputs[:9] + 1.0
    whole = denoise(releases, data.labels[:9])
    assert torch.equal(denoise(releases, data.labels[:9], share=0.0), releases)
    half = denoise(releases, data.labels[:9], share=0.5)
    assert torch.allclose(half, (releases + whole) / 2, atol=1e-6)


class Correlated:
    """Half of the record, with correlated noise."""

    covariance = 0.5 * toys.covariance(3, 0.4)

    def distribution(self, x: Tensor, selection: Tensor) -> Distribution:
        return MultivariateNormal(x[:, :3].double(), self.covariance)

    def release(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.distribution(x, labels).sample()


def test_releases_of_another_size_and_correlated_noise() -> None:
    data = records(classes=1)
    denoise = Denoiser(Correlated(), data)
    gain = SIGMA[:, :3] @ torch.linalg.inv(SIGMA[:3, :3] + Correlated.covariance)
    releases = data.inputs[:20, :3] + 0.1
    assert torch.allclose(
        denoise(releases, data.labels[:20]).double(), releases.double() @ gain.T, atol=1e-4
    )
    with pytest.raises(DataError, match="use share=1"):
        denoise(releases, data.labels[:20], share=0.5)


def test_a_class_without_a_clean_record() -> None:
    data = records()
    more = Records(data.inputs, data.labels, tuple("abc"))
    found = Denoiser(toys.Additive(1.0), more)(data.inputs[:4], torch.full((4,), 2))
    assert bool(found.isfinite().all())


class Tied:
    """A law that does not tell how its elements hang together."""

    def distribution(self, x: Tensor, selection: Tensor) -> Distribution:
        return torch.distributions.Dirichlet(x.abs() + 1)

    def release(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.distribution(x, labels).sample()


def test_what_cannot_be_used() -> None:
    data = records(40)
    denoise = Denoiser(toys.Additive(1.0), data)
    with pytest.raises(DataError, match="needs the labels"):
        denoise(data.inputs)
    with pytest.raises(DataError, match="5 elements, not 4"):
        denoise(data.inputs[:, :4], data.labels)
    with pytest.raises(SettingError, match=r"in \[0, 1\], not 1.5"):
        denoise(data.inputs, data.labels, share=1.5)
    with pytest.raises(DataError, match="two clean records"):
        Denoiser(toys.Additive(1.0), data.subset([0]))
    with pytest.raises(DataError, match="under a Dirichlet"):
        Denoiser(Tied(), data)


def test_the_law_is_asked_under_the_labels() -> None:
    seen: list[Any] = []

    class Watched:
        def distribution(self, x: Tensor, selection: Tensor) -> Distribution:
            seen.append(selection.unique().tolist())
            return Normal(x, torch.ones_like(x))

        def release(self, x: Tensor, labels: Tensor) -> Tensor:
            return x

    Denoiser(Watched(), records(40))
    assert seen == [[0], [1]]
