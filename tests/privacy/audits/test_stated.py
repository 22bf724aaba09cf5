"""The law that a mechanism states, held against what it does. False alarms: below 1e-6 a check."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Binomial, Distribution, MultivariateNormal, Normal

import sfumato as sf
from sfumato.data.records import Records
from sfumato.obfuscation.shredder import Shredder
from sfumato.privacy.audits.stated import law_checks
from sfumato.privacy.control import Isotropic
from sfumato.privacy.knowledge import Mechanism, Served
from tests.privacy.audited import LinearAttack, records, run
from tests.privacy.toys import Additive, ByScale, Correlated, LaplaceNoise, Untold, covariance

DATA = records(64)


def flat(count: int, size: int = 6) -> Records:
    labels = torch.arange(count) % 2
    return Records(torch.rand(count, size) + 0.5, labels, ("a", "b"))


@dataclass(frozen=True)
class Liar:
    """States σ = `said`, and releases what `drawn` makes of the record."""

    said: float
    kind: str
    kept: dict[str, Any] = field(default_factory=dict)

    def distribution(self, x: Tensor, selection: Any = None) -> Distribution:
        return Normal(x, torch.full_like(x, self.said))

    def release(self, x: Tensor, labels: Tensor) -> Tensor:
        noise = torch.randn_like(x)
        if self.kind == "small":
            noise = noise * 0.005
        elif self.kind == "nearly":
            noise = noise * 0.8
        elif self.kind == "one label":
            noise = torch.where(labels.reshape(-1, *[1] * (x.dim() - 1)) == 1, 0.5, 1.0) * noise
        elif self.kind == "moved":
            noise = noise + 0.2
        elif self.kind == "one element":
            noise.flatten(1)[:, 0] *= 0.1
        elif self.kind == "shared":
            noise = noise[:1].expand_as(x)
        elif self.kind == "partly shared":
            noise = 0.8**0.5 * noise + 0.2**0.5 * noise.flip(0)
        elif self.kind == "fixed":
            noise = self.kept.setdefault("noise", noise)
        elif self.kind == "pool":
            pool = self.kept.setdefault("pool", torch.randn(200, *x.shape[1:]))
            noise = pool[torch.randint(len(pool), (len(x),))]
        elif self.kind == "one number":
            noise = noise.flatten(1)[:, :1].reshape(-1, *[1] * (x.dim() - 1)).expand_as(x)
        return x + self.said * noise


def failed(mechanism: Mechanism, data: Records = DATA) -> str:
    return "; ".join(one.words for one in law_checks(mechanism, data, 0) if not one.passed)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("small", "the stated law is not theirs, deviations have 0.00"),
        ("nearly", "the stated law is not theirs"),
        ("one label", "the stated law is not theirs"),
        ("moved", "the stated law is not theirs"),
        ("one element", "the stated law is not theirs"),
        ("shared", "records of one call share their noise"),
        ("partly shared", "records of one call share their noise"),
        ("fixed", "the draw is fixed"),
        ("pool", "noise comes from a pool"),
        ("one number", "ties the elements of a release"),
    ],
)
def test_what_is_not_as_stated_is_told(kind: str, words: str) -> None:
    assert words in failed(Liar(10.0, kind), records(64, size=12))


@dataclass(frozen=True)
class Counts:
    """A count of 20 trials with the record as odds."""

    bias: float = 0.0

    def distribution(self, x: Tensor, selection: Any = None) -> Distribution:
        return Binomial(20, logits=x)

    def release(self, x: Tensor, labels: Tensor) -> Tensor:
        return Binomial(20, logits=x + self.bias).sample()


def soft(combine: Any = "sum", noise: Any = None, shape: tuple[int, ...] = ()) -> sf.Obfuscator:
    layer = sf.nn.ConditionalConv2d(2, 1, 1, 3, padding=1, noise=noise or sf.noise.Gaussian())
    return sf.Obfuscator(layer, sf.nn.SoftSelection(2, shape, combine=combine))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("mechanism", "data"),
    [
        (Isotropic(1.0), DATA),
        (Isotropic(1e-7), DATA),
        (LaplaceNoise(1.0), DATA),
        (Correlated(torch.linalg.cholesky(covariance(6))), flat(64)),
        (ByScale(), flat(64)),
        (Additive(0.5), flat(64, 1)),
        (Counts(), flat(64)),
        (Untold(Additive(0.5)), flat(64)),
        (Shredder(torch.randn(3, 1, 4, 4)), DATA),
        (soft(), DATA),
        (soft("mixture"), DATA),
        (soft("mixture", sf.noise.Laplace()), DATA),
        (soft("mixture", shape=(1, 4, 4)), DATA),
        (sf.Obfuscator(sf.nn.AdditiveNoise((1, 4, 4), noise=sf.noise.Laplace())), DATA),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_as_stated_passes(mechanism: Mechanism, data: Records, seed: int) -> None:
    found = law_checks(mechanism, data, seed)
    assert found and all(one.passed for one in found), failed(mechanism, data)


def test_other_laws_are_looked_at_too() -> None:
    assert "the stated law is not theirs" in failed(Counts(0.3), flat(64))
    root = torch.linalg.cholesky(covariance(6))

    class Wrong:
        def distribution(self, x: Tensor, selection: Any = None) -> Distribution:
            return MultivariateNormal(x, scale_tril=root.to(x.dtype))

        def release(self, x: Tensor, labels: Tensor) -> Tensor:
            return x + torch.randn_like(x)  # the same variances, and nothing ties the elements

    assert failed(Wrong(), flat(64)) != ""


def test_noise_that_states_no_law_may_not_be_shared_or_fixed() -> None:
    @dataclass(frozen=True)
    class Quiet:
        kind: str

        def release(self, x: Tensor, labels: Tensor) -> Tensor:
            noise = torch.zeros_like(x) if self.kind == "fixed" else torch.randn_like(x[:1])
            return x + noise

    found: Any = [Quiet("fixed"), Quiet("shared")]
    assert "the draw is fixed" in failed(found[0])
    assert "records of one call share their noise" in failed(found[1])


def test_what_is_served_is_looked_at_too() -> None:
    honest = soft()

    class Deaf:
        selection, num_classes = honest.selection, 2
        release, distribution = honest.release, honest.distribution

        def __call__(self, x: Tensor) -> Tensor:
            return honest.distribution(x).mean

    assert failed(Deaf()).startswith("served releases: ")


@pytest.mark.parametrize("kind", ["shared class", "one class", "other shares"])
def test_a_mixture_that_is_not_as_stated_is_told(kind: str) -> None:
    """The class is drawn once for all records, never, or with other probabilities."""
    honest = soft("mixture")
    assert isinstance(honest.selection, sf.nn.SoftSelection)
    with torch.no_grad():
        next(honest.layer.parameters())[0, 0] += 4.0

    class Cheat:
        selection, num_classes = honest.selection, 2
        release, distribution = honest.release, honest.distribution

        def __call__(self, x: Tensor) -> Tensor:
            share = torch.rand(1) if kind == "shared class" else torch.rand(len(x))
            bound = {"shared class": 0.5, "one class": 1.0, "other shares": 0.8}[kind]
            return honest.release(x, (share < bound).long().expand(len(x)))

    assert "served releases: " in failed(Cheat())


@torch.no_grad()
def test_the_law_of_a_served_mixture() -> None:
    """Σ_c π_c law_c, from its own draws: of each of 16 means |z| > 5 has 6e-7, 1e-5 in all."""
    mixed = soft("mixture")
    assert isinstance(mixed.selection, sf.nn.SoftSelection)
    with torch.no_grad():
        mixed.selection.logits.copy_(torch.tensor([1.0, -0.5]))
    x = DATA.inputs[:1]
    served = Served(mixed)
    law = served.distribution(x, DATA.labels[:1])
    drawn = mixed(x.expand(20000, -1, -1, -1)).flatten(1)
    assert bool(((drawn.mean(0) - law.mean[0]).abs() < 5 * (law.variance[0] / 20000).sqrt()).all())
    parts = [mixed.distribution(x, torch.tensor([c])) for c in range(2)]
    shares = mixed.selection()
    seen = drawn[0].reshape(x.shape)
    likely = torch.stack([part.log_prob(seen).sum().exp() for part in parts])
    expected = (shares * likely).sum()
    assert float(law.log_prob(drawn[:1]).exp()) == pytest.approx(float(expected), rel=1e-4)


def test_a_law_that_changes_from_call_to_call_is_told() -> None:
    """As of a layer that draws its kernels at each call, and states the law of those."""

    class Fickle(Liar):
        def distribution(self, x: Tensor, selection: Any = None) -> Distribution:
            return Normal(x + torch.randn(()), torch.ones_like(x))

    assert "the law that is stated is another at each call" in failed(Fickle(1.0, "honest"))


def test_a_card_of_a_liar_is_not_trusted_and_says_so_first() -> None:
    common: dict[str, Any] = {"releases": (1,), "seeds": (0,), "attacks": [LinearAttack()]}
    assert run(obfuscator=Isotropic(10.0), **common).trusted
    found = run(obfuscator=Liar(10.0, "small"), **common)
    assert found.leak.mean < 0.5  # as the attacks believed what was stated
    assert not found.trusted and all(control.passed for control in found.controls)
    assert found.verdict[0].startswith("This audit is not to be trusted: releases: the stated law")
    assert "keeps no bound" in found.broken_bounds(max_leak=2.0)[0]
