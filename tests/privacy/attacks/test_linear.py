"""The linear attack against its analytic leak, and where a plain formula would overfit or fail."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal, StudentT, TransformedDistribution
from torch.distributions.transforms import ReshapeTransform

import sfumato as sf
from sfumato.privacy import Knowledge, LinearDecoder
from sfumato.privacy.attacks import LinearAttack
from sfumato.privacy.attacks import rows as rows_file
from sfumato.privacy.attacks import shrinkage as shrinkage_file
from sfumato.privacy.attacks.moments import moments_of
from tests.privacy.toys import (
    Additive,
    ByLabel,
    Correlated,
    LaplaceNoise,
    Mixed,
    Untold,
    covariance,
    gaussian,
    gaussians,
    known,
    leak,
    scene,
    wiener_leak,
)

SIGMA = covariance(6)
# Of 4000 attacked records of 6 elements; the standard error of a leak is below 0.01.
MANY = gaussians((4000, 4000), SIGMA)


@pytest.mark.parametrize("pooled", [None, True, False])
@pytest.mark.parametrize(("noise", "releases"), [(0.5, 1), (2.0, 1), (2.0, 10)])
def test_the_analytic_leak(pooled: bool | None, noise: float, releases: int) -> None:
    stage = scene(Additive(noise), MANY, 1, releases)
    found = leak(stage, LinearAttack(pooled).run(stage))
    assert found == pytest.approx(wiener_leak(SIGMA, noise / releases**0.5), abs=0.015)


def test_ten_releases_leak_more() -> None:
    one, ten = (scene(Additive(2.0), MANY, 1, k) for k in (1, 10))
    assert leak(ten, LinearAttack().run(ten)) > leak(one, LinearAttack().run(one)) + 0.3


def test_laplace_noise_by_its_variance() -> None:
    stage = scene(LaplaceNoise(1.0), MANY, 1)
    expected = wiener_leak(SIGMA, 2**0.5)  # the variance is 2 b²
    assert leak(stage, LinearAttack().run(stage)) == pytest.approx(expected, abs=0.015)


def test_correlated_noise() -> None:
    # Noise shaped like the records: no direction is better, the gain is I / (1 + s²).
    root = 1.5 * torch.linalg.cholesky(SIGMA)
    records = gaussian(400, SIGMA, exact=True)
    decoder = LinearDecoder(known(records, [Correlated(root)]), shrink=False)
    expected = torch.eye(6, dtype=torch.float64) / (1 + 1.5**2)
    torch.testing.assert_close(decoder.gains[0], expected, rtol=1e-5, atol=1e-6)
    stage = scene(Correlated(root), MANY, 1)
    assert leak(stage, LinearAttack().run(stage)) == pytest.approx(1 / (1 + 1.5**2), abs=0.015)


def test_correlated_beside_independent_noise() -> None:
    # Two releases whose covariances add up as blocks: precisions of the noise add up.
    records = gaussian(400, SIGMA, exact=True)
    root = torch.linalg.cholesky(SIGMA)
    decoder = LinearDecoder(known(records, [Correlated(root), Additive(0.5)]), shrink=False)
    eye = torch.eye(6, dtype=torch.float64)
    total = torch.linalg.inv(SIGMA) + torch.linalg.inv(SIGMA) + eye / 0.25
    expected = torch.linalg.solve(total, torch.cat([torch.linalg.inv(SIGMA), eye / 0.25], 1))
    torch.testing.assert_close(decoder.gains[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [3, 9])
def test_releases_of_another_size(size: int) -> None:
    weight = torch.randn(size, 6)
    stage = scene(Mixed(weight, 0.4), MANY, 1)
    w = weight.double()
    gains = SIGMA @ w.T @ torch.linalg.inv(w @ SIGMA @ w.T + 0.16 * torch.eye(size).double())
    expected = float((gains @ w @ SIGMA).trace() / SIGMA.trace())
    assert leak(stage, LinearAttack().run(stage)) == pytest.approx(expected, abs=0.015)


@pytest.mark.parametrize("releases", [1, 4])
def test_an_unknown_law_is_learned_from_draws(releases: int) -> None:
    stage = scene(Untold(Additive(1.0)), MANY, 1, releases)
    expected = wiener_leak(SIGMA, 1 / releases**0.5)
    assert leak(stage, LinearAttack().run(stage)) == pytest.approx(expected, abs=0.02)


def test_correlations_of_an_unknown_law_are_seen() -> None:
    root = 1.5 * torch.linalg.cholesky(covariance(6, -0.7))
    told, untold = scene(Correlated(root), MANY, 1), scene(Untold(Correlated(root)), MANY, 1)
    expected = leak(told, LinearAttack().run(told))
    assert leak(untold, LinearAttack().run(untold)) == pytest.approx(expected, abs=0.02)


class _Wrapped(Additive):
    """The same law, reshaped and re-declared as one event."""

    def distribution(self, x: Tensor, selection: Tensor) -> Distribution:
        flat = Normal(x.flatten(1), self.sigma)
        shape = ReshapeTransform(flat.batch_shape[1:], x.shape[1:])
        return TransformedDistribution(Independent(flat, 1), [shape])


class _HeavyTailed(Additive):
    """No finite variance."""

    def distribution(self, x: Tensor, selection: Tensor) -> Distribution:
        return StudentT(torch.full_like(x, 1.5), x)


def test_which_laws_are_read_off() -> None:
    inputs = torch.rand(20, 1, 2, 3)
    for mechanism, drawn in [
        (Additive(1.0), False),
        (_Wrapped(1.0), False),
        (_HeavyTailed(1.0), True),
    ]:
        moments = moments_of(known(inputs, [mechanism]))
        assert moments.drawn is drawn
    told = moments_of(known(inputs, [_Wrapped(2.0)]))
    torch.testing.assert_close(told.locations, inputs.flatten(1))
    torch.testing.assert_close(told.noise, torch.full((1, 6), 4.0))


def few(
    classes: int, each: int, size: int = 24
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    return gaussians((classes * each, 1000), covariance(size, 0.95), classes)


@pytest.mark.parametrize("each", [2, 5, 20])
def test_few_records_in_a_class_do_not_overfit(each: int) -> None:
    stage = scene(Additive(0.5), few(4, each), 4)
    found = {p: leak(stage, LinearAttack(p).run(stage)) for p in (None, True, False)}
    known = Knowledge(stage.auxiliary.inputs, stage.auxiliary.labels, 4, [stage.mechanism])
    plain = [
        LinearDecoder(known, pooled=pooled, shrink=False).reconstruct(
            stage.seen, stage.target.labels
        )
        for pooled in (True, False)
    ]
    errors = [(guess - stage.target.inputs).square().sum() for guess in plain]
    x, labels = stage.auxiliary.inputs, stage.auxiliary.labels
    label_only = (known.class_means(x)[stage.target.labels] - stage.target.inputs).square().sum()
    literal = [float(1 - error / label_only) for error in errors]
    assert found[None] >= max(literal) - 0.01
    assert found[None] > literal[1] + 0.01
    assert len(labels) == 4 * each
    assert found[False] >= literal[1] - 1e-6


def test_classes_borrow_through_their_own_mechanism() -> None:
    # Class 1 is released upside down: a plain pooled covariance would cancel out. With 3 records of
    # each class a covariance of its own is nothing, but the spread of the others, pushed through
    # the mechanism under the right label, tells all.
    factors = torch.tensor([1.0, -1.0])
    mechanism = ByLabel(factors, torch.tensor([0.0, 5.0]), torch.tensor([0.5, 0.5]))
    stage = scene(mechanism, few(2, 6))
    expected = scene(Additive(0.5), few(2, 6))
    found = leak(stage, LinearAttack(True).run(stage))
    assert found == pytest.approx(leak(expected, LinearAttack(True).run(expected)), abs=0.03)
    assert found > 0.5


def test_a_class_that_the_attacker_has_no_record_of() -> None:
    (x, labels), target = few(2, 40)
    mechanism = ByLabel(
        torch.tensor([1.0, -1.0]), torch.tensor([0.0, 5.0]), torch.tensor([0.3, 0.3])
    )
    stage = scene(mechanism, ((x[labels == 0], labels[labels == 0]), target))
    guess = LinearAttack().run(stage).reconstructions
    assert guess is not None
    wanted = stage.target.inputs[1::2]
    assert (guess[1::2] - wanted).square().sum() < 0.4 * wanted.square().sum()


def test_classes_that_spread_differently_keep_their_own() -> None:
    wide, narrow = torch.diag(torch.tensor([9.0, 0.01])), torch.diag(torch.tensor([0.01, 9.0]))

    def records(seed: int) -> tuple[Tensor, Tensor]:
        parts = [gaussian(1000, s.double(), seed + c) for c, s in enumerate((wide, narrow))]
        return torch.stack(parts, 1).flatten(0, 1).float(), torch.arange(2000) % 2

    stage = scene(Additive(3.0), (records(1), records(5)))
    own, pooled, chosen = (leak(stage, LinearAttack(p).run(stage)) for p in (False, True, None))
    assert own > pooled + 0.1
    assert chosen == pytest.approx(own, abs=0.01)


def test_one_auxiliary_record() -> None:
    stage = scene(Additive(1.0), few(1, 1), 1)
    assert leak(stage, LinearAttack().run(stage)) == pytest.approx(0, abs=1e-6)


def test_an_obfuscator_with_regular_layers_before_it() -> None:
    torch.manual_seed(1)
    pre = torch.nn.Conv2d(1, 2, 3, stride=2, padding=1)
    obfuscator = sf.Obfuscator(sf.nn.ConditionalConv2d(2, 2, 3, 3, padding=1), pre=pre)
    x = torch.randn(600, 1, 6, 6)
    labels = torch.arange(600) % 2
    stage = scene(obfuscator, ((x[:500], labels[:500]), (x[500:], labels[500:])))
    assert stage.seen.shape == (100, 3, 3, 3)
    assert leak(stage, LinearAttack().run(stage)) > 0.01


def test_large_releases_are_solved_in_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_file, "FEW", 100)
    x = gaussian(300, covariance(300, 0.99)).float()
    knowledge = known(x, [Additive(1.0)], 2)
    found = LinearDecoder(knowledge, pooled=True, shrink=False)
    assert found.gains.dtype == torch.float32
    exact = LinearDecoder(
        known(x.double(), [Correlated(torch.eye(300))], 2), pooled=True, shrink=False
    )
    assert exact.gains.dtype == torch.float64
    torch.testing.assert_close(found.gains[0].double(), exact.gains[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("huge", "classes"), [(1024, 3), (5, 1)])
def test_the_shrinkage_of_large_releases_is_chosen_on_one_class(
    huge: int, classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: set[int] = set()
    measured = shrinkage_file._Trial._error

    def counted(self: object, rows: object, held: object, label: int, *rest: object) -> float:
        looked_at.add(label)
        return measured(self, rows, held, label, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(shrinkage_file, "HUGE", huge)
    monkeypatch.setattr(shrinkage_file._Trial, "_error", counted)
    stage = scene(Additive(0.5), few(4, 20), 4)
    assert leak(stage, LinearAttack().run(stage)) > 0.5
    assert len(looked_at) == classes
