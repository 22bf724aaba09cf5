from __future__ import annotations

import pytest
import torch

from sfumato.data.records import Records
from sfumato.privacy.control import (
    ClosedForm,
    Control,
    Isotropic,
    judge,
    judge_share,
    loud_bound,
    spread_within,
)
from sfumato.privacy.statistics import Figure
from tests.privacy.toys import covariance, gaussian, wiener_leak

SIZE = 6


def smooth(count: int, seed: int, classes: int = 1, size: int = SIZE) -> Records:
    inputs = gaussian(count, covariance(size), seed).float()
    names = tuple(str(c) for c in range(classes))
    return Records(inputs, torch.arange(count) % classes, names)


def test_isotropic_noise_has_the_law_it_states() -> None:
    """40,000 draws: mean and deviation within 5 standard errors, false alarm below 2e-6."""
    noise, x = Isotropic(0.7), torch.full((40_000, 1), 2.0)
    draws = noise.release(x, torch.zeros(len(x), dtype=torch.int64))
    law = noise.distribution(x)
    assert bool((law.mean == 2).all()) and bool((law.stddev == 0.7).all())
    assert abs(float(draws.mean()) - 2) < 5 * 0.7 / 200
    assert abs(float(draws.std()) - 0.7) < 5 * 0.7 / 283


@pytest.mark.parametrize("sigma", [0.3, 1.0, 3.0])
def test_the_closed_form_is_the_wiener_leak(sigma: float) -> None:
    """With so many records that their covariance is that of their law, to 0.01."""
    found = ClosedForm(smooth(40_000, 0), smooth(20_000, 1)).leak(sigma)
    assert abs(found.mean - wiener_leak(covariance(SIZE), sigma)) < 0.01
    assert found.low < found.mean < found.high


def test_the_closed_form_is_what_draws_give() -> None:
    """Decoding fresh draws by hand, on few records, where the covariance is far from its law."""
    known, target, sigma = smooth(40, 0), smooth(50, 1), 0.8
    mean = known.inputs.mean(0)
    own = (known.inputs - mean).double()
    second = own.T @ own / len(own)
    gain = second @ torch.linalg.inv(second + sigma**2 * torch.eye(SIZE, dtype=torch.float64))
    z = (target.inputs - mean).double()
    draws = z + sigma * torch.randn(4000, *z.shape, dtype=torch.float64)
    error = (draws @ gain.T - z).square().sum((1, 2)).mean()
    expected = float(1 - error / z.square().sum())
    assert abs(ClosedForm(known, target).leak(sigma).mean - expected) < 0.005


def test_classes_that_spread_otherwise_are_decoded_apart() -> None:
    """One class along the first element, the other along the second."""
    wide = torch.tensor([[5.0, 0.1], [0.1, 5.0]])
    parts = []
    for seed in (0, 1):
        labels = torch.arange(2000) % 2
        noise = torch.randn(2000, 2, generator=torch.Generator().manual_seed(seed))
        parts.append(Records(noise * wide[labels], labels, ("a", "b")))
    pooled = [Records(p.inputs, torch.zeros_like(p.labels), ("all",)) for p in parts]
    apart, together = ClosedForm(*parts).leak(2.0).mean, ClosedForm(*pooled).leak(2.0).mean
    assert apart > together + 0.05


def test_no_noise_and_all_noise() -> None:
    closed = ClosedForm(smooth(300, 0, classes=2), smooth(300, 1, classes=2))
    assert closed.leak(1e-4).mean > 0.9999
    assert abs(closed.leak(1e4).mean) < 1e-4


def test_the_spread_is_within_classes() -> None:
    records = smooth(4000, 0, classes=2)
    apart = Records(records.inputs + 100 * records.labels.unsqueeze(1), records.labels, ("a", "b"))
    assert spread_within(apart) == pytest.approx(1.0, abs=0.05)
    assert spread_within(apart) == pytest.approx(spread_within(records), abs=0.001)


def leak(mean: float) -> Figure:
    return Figure(mean, 0.0, 1, mean - 0.1, mean + 0.1)


@pytest.mark.parametrize(
    ("control", "passed"),
    [
        (judge("linear", "quiet", 0.1, leak(0.96), 0.95), True),
        (judge("linear", "quiet", 0.1, leak(0.94), 0.95), False),
        (judge("linear", "loud", 10.0, leak(0.04), 0.05), True),
        (judge("linear", "loud", 10.0, leak(0.06), 0.05), False),
        (judge("strongest", "known", 1.0, leak(0.50), 0.48), True),
        (judge("strongest", "known", 1.0, leak(0.47), 0.48), False),
        (judge_share("linkage", "quiet", 0.1, "top1", 0.97, 0.95, 100), True),
        (judge_share("linkage", "loud", 9.0, "top1", 0.20, loud_bound(0.01, 100), 100), False),
        (judge_share("linkage", "loud", 9.0, "top1", 0.05, loud_bound(0.01, 100), 100), True),
    ],
)
def test_controls(control: Control, passed: bool) -> None:
    assert control.passed is passed
    assert ("passed" if passed else "FAILED") in control.words
    assert ("at most" if control.kind == "loud" else "at least") in control.words
