"""The laws do what they say, to the accuracy that counting allows.

Statistical tests compare a count of N with its expectation; the limit of 5 standard deviations is
overstepped with a probability below 6e-7 a comparison, 1e-4 for all of this file. Seeds are fixed,
so that a pass stays a pass.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from sfumato.errors import DataError, SettingError
from sfumato.label_noise import InstanceFlips, NoisyLabels, PatternedFlips, SymmetricFlips
from sfumato.label_noise.noise.instance import truncated_normal

LAWS = [PatternedFlips, SymmetricFlips, InstanceFlips]
CLEAN = torch.arange(6000) % 6
INPUTS = torch.rand(6000, 5, generator=torch.Generator().manual_seed(1))


def within(hits: float, trials: int, chance: float) -> bool:
    return abs(hits - trials * chance) <= 5 * math.sqrt(trials * chance * (1 - chance)) + 1e-9


def counted(noisy: NoisyLabels) -> torch.Tensor:
    places = noisy.clean * noisy.classes + noisy.labels
    return torch.bincount(places, minlength=noisy.classes**2).view(noisy.classes, noisy.classes)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("p", [0.1, 0.4, 0.5])
def test_counts_follow_the_matrix(law: Any, p: float) -> None:
    noisy = law(p).corrupt(CLEAN, INPUTS, seed=3)
    counts = counted(noisy)
    assert torch.allclose(noisy.matrix.sum(1), torch.ones(6, dtype=torch.float64))
    for own in range(6):
        trials = int(counts[own].sum())
        for other in range(6):
            # Where chances differ between records, the variance is below that of their mean.
            assert within(float(counts[own, other]), trials, float(noisy.matrix[own, other]))


@pytest.mark.parametrize("law", LAWS[:2])
def test_the_rate_is_the_probability(law: Any) -> None:
    noisy = law(0.4).corrupt(CLEAN, seed=0)
    assert within(noisy.rate * 6000, 6000, 0.4)
    assert noisy.rate == float((noisy.labels != CLEAN).double().mean())


def test_the_pattern_is_one_other_class_each() -> None:
    noisy = PatternedFlips(0.4).corrupt(CLEAN, seed=1)
    assert noisy.pattern is not None
    for own, target in enumerate(noisy.pattern):
        assert own != target
        assert set(noisy.labels[own == CLEAN].tolist()) == {own, target}
        assert float(noisy.matrix[own, own]) == pytest.approx(0.6)
        assert float(noisy.matrix[own, target]) == pytest.approx(0.4)


def test_patterns_are_uniform_and_targets_may_coincide() -> None:
    runs = 600
    few = torch.arange(12) % 3
    patterns = [PatternedFlips(0.5).corrupt(few, seed=seed).pattern for seed in range(runs)]
    assert None not in patterns
    for own in range(3):
        for target in range(3):
            hits = sum(pattern[own] == target for pattern in patterns if pattern)
            assert within(hits, runs, 0.0 if own == target else 0.5)
    coincide = sum(len(set(pattern)) < 3 for pattern in patterns if pattern)
    assert within(coincide, runs, 0.75)  # 2 of the 8 patterns are permutations without fixed point


@pytest.mark.parametrize("law", LAWS)
def test_a_seed_is_a_run(law: Any) -> None:
    state = torch.get_rng_state()
    one, same, other = (law(0.3).corrupt(CLEAN, INPUTS, seed=s).labels for s in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("law", LAWS[:2])
def test_the_ends(law: Any) -> None:
    assert law(0).corrupt(CLEAN, seed=0).rate == 0
    assert law(1.0).corrupt(CLEAN, seed=0).rate == 1


def test_equal_records_are_mistaken_alike() -> None:
    clean = torch.arange(4000) % 4
    same = torch.full((4000, 8), 5.0)
    noisy = InstanceFlips(0.4).corrupt(clean, same, seed=0)
    wrong = noisy.labels[noisy.flipped & (clean == 0)]
    shares = torch.bincount(wrong, minlength=4).double() / len(wrong)
    assert float(shares.max()) > 0.8  # the kernels say which class, not chance (1/3)


def test_what_a_record_looks_like_matters() -> None:
    clean = torch.zeros(2000, dtype=torch.long)
    clean[1000:] = 1
    inputs = torch.zeros(2000, 4)
    inputs[:500, 0], inputs[500:1000, 1] = 10.0, 10.0
    noisy = InstanceFlips(0.5).corrupt(clean, inputs, seed=2, classes=6)
    targets = [noisy.labels[part][noisy.flipped[part]].mode().values
               for part in (slice(500), slice(500, 1000))]  # fmt: skip
    assert int(targets[0]) != int(targets[1])


def test_rates_are_a_truncated_normal() -> None:
    torch.manual_seed(0)
    rates = truncated_normal(20000, 0.1, 0.1)
    assert float(rates.min()) >= 0
    assert float(rates.max()) <= 1
    # Truncated at one standard deviation below: mean + spread φ(1)/Φ(1), spread below 0.1.
    expected = 0.1 + 0.1 * math.exp(-0.5) / math.sqrt(2 * math.pi) / 0.841344746
    assert abs(float(rates.mean()) - expected) < 5 * 0.1 / math.sqrt(20000)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan, True, "0.1"])
def test_no_probability(law: Any, p: Any) -> None:
    with pytest.raises(SettingError, match=r"must lie in \[0, 1\]"):
        law(p)


@pytest.mark.parametrize("spread", [0.0, -1.0, math.nan])
def test_no_spread(spread: float) -> None:
    with pytest.raises(SettingError, match="spread"):
        InstanceFlips(0.3, spread)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.zeros(0, dtype=torch.long), "at least one label"),
        (torch.zeros(4, dtype=torch.long), "one class"),
        (torch.tensor([0.0, 1.0]), "whole numbers"),
        (torch.tensor([True, False]), "whole numbers"),
        (torch.tensor([0, -1]), "must lie in"),
        (torch.zeros(2, 2, dtype=torch.long), "a tensor"),
        ([0, 1], "a tensor"),
    ],
)
def test_labels_that_cannot_be_used(law: Any, labels: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        law(0.3).corrupt(labels, seed=0)


def test_labels_beyond_the_classes() -> None:
    with pytest.raises(DataError, match="0 to 1"):
        PatternedFlips(0.3).corrupt(torch.tensor([0, 2]), seed=0, classes=2)


def test_instance_noise_needs_whole_records() -> None:
    clean = torch.tensor([0, 1, 0])
    with pytest.raises(DataError, match="needs the records"):
        InstanceFlips(0.3).corrupt(clean, seed=0)
    with pytest.raises(DataError, match="2 records have 3 labels"):
        InstanceFlips(0.3).corrupt(clean, torch.zeros(2, 4), seed=0)
    broken = torch.zeros(3, 4)
    broken[1, 2] = torch.nan
    with pytest.raises(DataError, match="record 1 holds NaN"):
        InstanceFlips(0.3).corrupt(clean, broken, seed=0)


def test_instance_noise_of_probability_0_is_none() -> None:
    inputs = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    noisy = InstanceFlips(0.0).corrupt(torch.arange(200) % 4, inputs, seed=0)
    assert noisy.rate == 0
    assert torch.equal(noisy.matrix, torch.eye(4, dtype=torch.float64))
