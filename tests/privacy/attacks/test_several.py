"""Several releases tell more than their average where the scale follows the record."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution, Laplace, Normal

from sfumato.errors import DataError
from sfumato.privacy import DecoderSettings, LinearDecoder
from sfumato.privacy.attacks import (
    Attack,
    AttributeAttack,
    LabelAttack,
    LinearAttack,
    LinkageAttack,
    MapAttack,
    NetworkAttack,
    ReaderSettings,
    Scene,
)
from sfumato.privacy.attacks.densities import log_densities
from sfumato.privacy.attacks.linear import knowledge_of
from sfumato.privacy.attacks.several import FLOOR, Kept, kept_of, middle, summarised
from sfumato.privacy.attacks.standard import standard
from sfumato.privacy.attacks.summary import Drawn, Located, seen_of, summary_of
from sfumato.privacy.knowledge import Mechanism
from tests.privacy.toys import (
    Additive,
    ByLabel,
    ByScale,
    Correlated,
    LaplaceNoise,
    Untold,
    covariance,
    gaussians,
    leak,
    scene,
)

SIGMA = covariance(6)
PARTS = gaussians((600, 200), SIGMA, 2)


@dataclass(frozen=True)
class Scaled:
    """σ(x) z, σ = softplus(x - 1): the location says nothing."""

    law: type[Normal] | type[Laplace] = Normal

    def distribution(self, x: Tensor, selection: Tensor) -> Distribution:
        return self.law(torch.zeros_like(x), F.softplus(x - 1))

    def release(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.distribution(x, labels).sample()


def averaged(stage: Scene) -> Scene:
    """The same scene for an attacker who keeps the average alone."""
    return replace(stage, spread=None, median=None)


@pytest.mark.parametrize(
    ("mechanism", "releases", "kept"),
    [
        (Additive(1.0), 1, Kept()),
        (Additive(1.0), 10, Kept()),
        (Correlated(torch.linalg.cholesky(SIGMA)), 10, Kept()),
        (ByLabel(torch.ones(2), torch.zeros(2), torch.tensor([1.0, 3.0])), 10, Kept()),
        (LaplaceNoise(1.0), 2, Kept()),
        (LaplaceNoise(1.0), 3, Kept(median=True)),
        (Scaled(), 1, Kept()),
        (Scaled(), 2, Kept(spread=True)),
        (Scaled(Laplace), 3, Kept(spread=True, median=True)),
        (Untold(Additive(1.0)), 2, Kept(spread=True)),
        (Untold(Additive(1.0)), 3, Kept(spread=True, median=True)),
    ],
)
def test_what_is_kept(mechanism: Mechanism, releases: int, kept: Kept) -> None:
    stage = scene(mechanism, PARTS, releases=releases)
    assert kept_of(mechanism, *PARTS[0], releases) == kept
    assert (stage.spread is not None, stage.median is not None) == (kept.spread, kept.median)


def test_the_statistics_are_those_of_the_releases() -> None:
    draws = torch.randn(5, 4, 2, 3) + 100

    class Played:
        """Releases one draw after the other."""

        def __init__(self) -> None:
            self.left = list(draws)

        def release(self, x: Tensor, labels: Tensor) -> Tensor:
            return self.left.pop(0)

        def distribution(self, x: Tensor, selection: Tensor) -> Distribution:
            raise NotImplementedError

    found = summarised(Played(), draws[0], torch.zeros(4).long(), 5, Kept(True, True))
    torch.testing.assert_close(found.mean, draws.mean(0))
    torch.testing.assert_close(found.spread, draws.var(0).log(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.median, draws.median(0).values)
    several = torch.tensor([[4.0, 1, 2, 9], [2, 1, 2, 9], [0, 5, 5, 5], [7, 7, 7, 7]])
    assert middle(several).tolist() == [3, 2, 5, 7]


def test_releases_without_noise_have_a_finite_spread() -> None:
    stage = scene(Untold(Additive(0.0)), PARTS, releases=3)
    assert stage.spread is not None
    assert float(stage.spread.max()) == pytest.approx(math.log(FLOOR))
    assert leak(stage, LinearAttack().run(stage)) > 0.99


@pytest.mark.parametrize("part", ["spread", "median"])
def test_statistics_of_other_records(part: str) -> None:
    stage = scene(Scaled(Laplace), PARTS, releases=3)
    with pytest.raises(DataError, match=f"the {part} is of several releases of shape"):
        replace(stage, **{part: torch.zeros(7, 6)})
    with pytest.raises(DataError, match=f"the {part} is of several releases"):
        replace(averaged(stage), releases=1, **{part: torch.zeros_like(stage.seen)})


@pytest.mark.parametrize("gaussian", [True, False])
@pytest.mark.parametrize("releases", [2, 3, 10])
def test_the_figures_of_standard_noise(gaussian: bool, releases: int) -> None:
    noise = standard(gaussian, releases)
    law = Normal(0.0, 1.0) if gaussian else Laplace(0.0, 0.5**0.5)
    z = law.sample(torch.Size([40_000, releases]))
    located = noise.weight * z.mean(1) + (1 - noise.weight) * middle(z)
    logs = z.var(1).log()
    # Of 40,000 draws: standard errors below 0.02 of these; 4 of them for each of 18 figures have a
    # false-alarm probability below 1e-3.
    assert float(located.square().mean()) == pytest.approx(noise.variance, rel=0.07)
    assert float(logs.mean()) == pytest.approx(noise.shift, abs=0.06)
    assert float(logs.var()) == pytest.approx(noise.log_variance, rel=0.09)
    if gaussian:
        assert (noise.weight, noise.variance) == (1.0, 1 / releases)
    elif releases > 2:
        assert noise.variance < 0.98 / releases  # an average of Laplace noise has 1 / K


@pytest.mark.parametrize("mechanism", [Scaled(), Scaled(Laplace), LaplaceNoise(1.0)])
def test_fresh_features_are_like_those_of_releases(mechanism: Mechanism) -> None:
    stage = scene(mechanism, PARTS, releases=4)
    summary = summary_of(stage)
    assert isinstance(summary, Located)
    x, labels = PARTS[1][0][:1].expand(20_000, -1), torch.zeros(20_000).long()
    kept = Kept(stage.spread is not None, stage.median is not None)
    drawn = summary.draw(x, labels)
    real = summary.features(summarised(mechanism, x, labels, 4, kept))
    told = summary.locations(x[:1], labels[:1])[0]
    variance = summary.noise(mechanism.distribution(x[:1], labels[:1]).variance)[0]
    # 20,000 draws: 5 standard errors of a mean are 0.036 of its deviation, over at most 12 elements
    # a false alarm in 1e-5; a variance is known to 0.03.
    for one in (drawn, real):
        assert float(((one.mean(0) - told) / variance.sqrt()).abs().max()) < 0.04
        assert float((one.var(0) / variance - 1).abs().max()) < 0.15


def attacks() -> list[Attack]:
    network = NetworkAttack(DecoderSettings(steps=100, check_every=50))
    return [LinearAttack(), network, MapAttack(steps=40)]


@pytest.mark.parametrize("law", [Normal, Laplace])
def test_a_scale_that_follows_the_record_is_read(law: type[Normal] | type[Laplace]) -> None:
    stage = scene(Scaled(law), PARTS, releases=100)
    for attack in attacks():
        more, less = (leak(each, attack.run(each)) for each in (stage, averaged(stage)))
        assert more > max(0.75, less + 0.25), attack.name


def test_no_attack_is_weaker_than_a_regression_on_the_root_mean_square() -> None:
    parts = gaussians((2000, 500), SIGMA)
    stage = scene(Scaled(), parts, 1, releases=100)
    known, order = [], torch.Generator().manual_seed(1)
    for x, _ in parts:
        noise = torch.randn(100, *x.shape, generator=order)
        known.append((F.softplus(x - 1) * noise).square().mean(0).sqrt())
    fitted, seen = (torch.cat([v, torch.ones(len(v), 1)], 1) for v in known)
    guess = seen @ torch.linalg.lstsq(fitted, parts[0][0]).solution
    regression = 1 - float((guess - parts[1][0]).square().sum() / parts[1][0].square().sum())
    assert regression > 0.8
    for attack in attacks():
        assert leak(stage, attack.run(stage)) > regression - 0.02, attack.name


@pytest.mark.parametrize("releases", [10, 100])
def test_the_median_of_laplace_releases_helps(releases: int) -> None:
    stage = scene(LaplaceNoise(0.3 * releases**0.5), PARTS, releases=releases)
    for attack in (LinearAttack(), MapAttack(steps=40)):
        more, less = (leak(each, attack.run(each)) for each in (stage, averaged(stage)))
        assert more > less + 0.02, attack.name


def test_an_unknown_law_is_learned_from_draws_of_its_statistics() -> None:
    stage = scene(Untold(ByScale()), tuple((x.abs(), c) for x, c in PARTS), releases=20)  # type: ignore[arg-type]
    assert isinstance(summary_of(stage), Drawn)
    assert leak(stage, LinearAttack().run(stage)) > 0.5
    assert leak(averaged(stage), LinearAttack().run(averaged(stage))) < 0.1
    network = NetworkAttack(DecoderSettings(steps=2))
    assert leak(stage, network.run(stage)) > 0.5


def test_the_linear_decoder_draws_for_as_many_records_as_it_can_afford() -> None:
    dear = scene(Untold(Additive(1.0)), PARTS, releases=4)
    drawn: list[int] = []

    class Counted:
        def release(self, x: Tensor, labels: Tensor) -> Tensor:
            drawn.append(len(x))
            return dear.mechanism.release(x, labels)

        def distribution(self, x: Tensor, selection: Tensor) -> Distribution:
            raise NotImplementedError

    counted = replace(dear, mechanism=Counted())
    summary = summary_of(counted)
    assert isinstance(summary, Drawn)
    assert summary.rows == 2**28 // (4 * 6)
    summary.rows, drawn[:] = 100, []
    LinearDecoder(knowledge_of(counted, summary))
    assert sum(drawn) == 4 * 100


@pytest.mark.parametrize("mechanism", [ByScale(), Scaled(Laplace), LaplaceNoise(2.0)])
def test_linkage_with_several_releases(mechanism: Mechanism) -> None:
    parts = tuple((x.abs(), c) for x, c in gaussians((400, 100), covariance(16), 2))
    stage = scene(mechanism, (parts[0], parts[1]), releases=20)
    more, less = (LinkageAttack().run(each).figures["top1"] for each in (stage, averaged(stage)))
    assert more > less + 0.05


def test_the_likelihood_of_all_gaussian_releases() -> None:
    x, labels = torch.rand(3, 6), torch.zeros(3).long()
    order = torch.Generator().manual_seed(2)
    draws = (0.1 + x) * torch.randn(7, 3, 6, generator=order)
    stage = replace(
        scene(ByScale(), ((x, labels), (x, labels)), 1, releases=7),
        seen=draws.mean(0),
        spread=draws.var(0).log(),
    )
    summary = summary_of(stage)
    assert isinstance(summary, Located)
    features = seen_of(stage, summary)

    def difference(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """Of the log likelihoods of two records: of the draws, and of their statistics."""
        laws = [ByScale().distribution(v, labels) for v in (one, other)]
        full = [law.log_prob(draws).sum((0, 2)) for law in laws]
        told = [summary.log_likelihood(law, features) for law in laws]
        return full[0] - full[1], told[0] - told[1]

    full, told = difference(x, x.flip(0))
    torch.testing.assert_close(told, full, rtol=1e-4, atol=1e-3)
    table = log_densities(ByScale(), features, x, 0, releases=7, summary=summary)
    torch.testing.assert_close(
        (table.diagonal() - table.flip(1).diagonal()).float(), full, rtol=1e-4, atol=1e-3
    )


@pytest.mark.parametrize("mechanism", [Scaled(Laplace), LaplaceNoise(1.0)])
def test_pairs_are_matched_as_single_records_are(mechanism: Mechanism) -> None:
    stage = scene(mechanism, PARTS, releases=5)
    summary = summary_of(stage)
    assert isinstance(summary, Located)
    features, x = seen_of(stage, summary)[:4], PARTS[1][0][:4]
    table = log_densities(mechanism, features, x, 0, releases=5, summary=summary)
    columns = []
    for one in x.split(1):
        law = mechanism.distribution(one.expand(4, -1), torch.zeros(4).long())
        columns.append(summary.log_likelihood(law, features).double())
    off = table - torch.stack(columns, 1)  # a constant that all share
    torch.testing.assert_close(off, off[:1, :1].expand(4, 4), rtol=1e-4, atol=1e-3)


def test_notes_say_where_the_average_is_all_that_counts() -> None:
    @dataclass(frozen=True)
    class Uniform:
        def distribution(self, x: Tensor, selection: Tensor) -> Distribution:
            return torch.distributions.Uniform(x - 1, x + 1, validate_args=False)

        def release(self, x: Tensor, labels: Tensor) -> Tensor:
            return self.distribution(x, labels).sample()

    stage = scene(Uniform(), PARTS, releases=5)
    assert isinstance(summary_of(stage), Drawn)
    assert "average alone" in MapAttack(steps=2).run(stage).notes[1]
    assert "the average's law is taken as Gaussian" in LinkageAttack().run(stage).notes[0]
    untold = scene(Untold(Additive(1.0)), PARTS, releases=5)
    assert "only their average is matched" in LinkageAttack().run(untold).notes[1]
    assert len(LinkageAttack().run(scene(Untold(Additive(1.0)), PARTS)).notes) == 1
    # Without the median the location of Laplace releases is their average.
    alone = replace(scene(Scaled(Laplace), PARTS, releases=3), median=None)
    assert isinstance(summary_of(alone), Drawn)


def test_an_attribute_and_a_label_are_read_off_the_scale() -> None:
    parts = tuple((x + 2.0 * c.unsqueeze(1), c) for x, c in PARTS)
    stage = scene(Scaled(), (parts[0], parts[1]), releases=50)
    settings = ReaderSettings(steps=0)
    attribute = AttributeAttack(settings=settings)
    more, less = (attribute.run(each).figures["accuracy"] for each in (stage, averaged(stage)))
    assert more > less + 0.2
    label = LabelAttack(settings)
    more, less = (label.run(each).figures["from_release"] for each in (stage, averaged(stage)))
    assert more > less + 0.2


def test_figures_of_pictures() -> None:
    x = torch.rand(300, 1, 4, 4)
    labels = torch.arange(300) % 2
    stage = scene(Scaled(), ((x[:250], labels[:250]), (x[250:], labels[250:])), releases=50)
    network = NetworkAttack(DecoderSettings(steps=2))
    for attack in (LinearAttack(), network, AttributeAttack(settings=ReaderSettings(steps=2))):
        attack.run(stage)
    assert leak(stage, network.run(stage)) > 0.3
