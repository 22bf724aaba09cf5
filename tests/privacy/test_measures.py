"""What reconstructions are worth, against oracles and against cases whose answer is known."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.errors import DataError
from sfumato.privacy import best_per_record, measure
from sfumato.privacy.measures import Estimate
from sfumato.privacy.similarity import correlation, psnr, ssim


def pictures(count: int = 6, shape: tuple[int, ...] = (1, 16, 16)) -> tuple[Tensor, Tensor]:
    """Smooth pictures in [0, 1] and noisy copies of growing noise."""
    x = torch.rand(count, *shape)
    x = F.avg_pool2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), 5, 1)
    x = (x - x.min()) / (x.max() - x.min())
    noise = torch.linspace(0.01, 0.5, count).reshape(-1, 1, 1, 1)
    return x + noise * torch.randn_like(x), x


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 32, 20), (2, 8, 7)])
@pytest.mark.parametrize("width", [1.0, 2.5])
def test_ssim_against_torchmetrics(shape: tuple[int, ...], width: float) -> None:
    from torchmetrics.functional.image import structural_similarity_index_measure as oracle

    guess, records = pictures(5, shape)
    expected = oracle(guess, records, data_range=width, reduction="none")
    assert isinstance(expected, Tensor)
    torch.testing.assert_close(ssim(guess, records, width).float(), expected, rtol=0, atol=1e-4)
    assert float(expected.max() - expected.min()) > 0.2


def test_ssim_of_pictures_smaller_than_its_window() -> None:
    tiny = torch.rand(3, 1, 1, 2)
    assert ssim(tiny, tiny, 1.0).tolist() == pytest.approx([1.0] * 3)
    assert float(ssim(torch.zeros_like(tiny), tiny, 1.0).max()) < 0.5


def test_psnr_and_correlation_against_torchmetrics() -> None:
    from torchmetrics.functional.image import peak_signal_noise_ratio
    from torchmetrics.functional.regression import pearson_corrcoef

    guess, records = pictures()
    for one, (x, y) in enumerate(zip(guess, records, strict=True)):
        expected = peak_signal_noise_ratio(x, y, data_range=2.0)
        assert float(psnr(guess, records, 2.0)[one]) == pytest.approx(float(expected), abs=1e-4)
        expected = pearson_corrcoef(x.flatten(), y.flatten())
        assert float(correlation(guess, records)[one]) == pytest.approx(float(expected), abs=1e-5)


def test_a_constant_record_has_no_correlation_and_a_copy_a_finite_psnr() -> None:
    records = torch.stack([torch.ones(4), torch.arange(4.0)])
    assert correlation(records, records).tolist() == pytest.approx([0, 1])
    assert psnr(records, records, 3.0).tolist() == pytest.approx([100, 100])


LABELS = torch.arange(200) % 2
RECORDS = torch.randn(200, 5, generator=torch.Generator().manual_seed(1))
MEANS = torch.stack([RECORDS[0::2].mean(0), RECORDS[1::2].mean(0)])


def test_the_two_ends() -> None:
    nothing = measure(MEANS[LABELS], RECORDS, LABELS, MEANS)
    assert nothing.leak == Estimate(0.0, 0.0, 0.0, 200)
    assert nothing.leak_95.value == 0
    assert nothing.over_half.value == 0
    whole = measure(RECORDS, RECORDS, LABELS, MEANS)
    assert whole.leak == Estimate(1.0, 1.0, 1.0, 200)
    assert whole.over_half.value == 1
    assert whole.pearson.value == pytest.approx(1)
    assert bool((whole.per_record == 1).all())


def test_the_leak_is_a_ratio_of_sums() -> None:
    guess = RECORDS + 0.3 * torch.randn(200, 5)
    found = measure(guess, RECORDS, LABELS, MEANS)
    error, base = (guess - RECORDS).square().sum(), (MEANS[LABELS] - RECORDS).square().sum()
    assert found.leak.value == pytest.approx(float(1 - error / base), abs=1e-6)
    assert found.leak.low < found.leak.value < found.leak.high


def test_some_records_leak_whole() -> None:
    guess = torch.where((torch.arange(200) < 30).unsqueeze(1), RECORDS, MEANS[LABELS])
    found = measure(guess, RECORDS, LABELS, MEANS)
    assert found.over_half.value == pytest.approx(0.15)
    assert found.leak_95.value == 1
    assert found.leak.value < 0.3
    assert found.per_record.tolist() == pytest.approx([1.0] * 30 + [0.0] * 170)


def test_a_record_that_is_its_class_mean_does_not_decide() -> None:
    records = RECORDS.clone()
    records[0] = MEANS[0]
    found = measure(records + 0.01, records, LABELS, MEANS)
    assert bool(found.per_record.isfinite().all())
    assert float(found.per_record[0]) > 0.9


def test_intervals_cover() -> None:
    # The mean over records of a quantity with a known expectation: 95 % intervals of 60 samples.
    # Fewer than 48 of them cover with a probability below 1e-4 (binomial, 0.93 for n = 200).
    covered = 0
    for seed in range(60):
        order = torch.Generator().manual_seed(seed)
        x = torch.randn(200, 4, generator=order)
        guess = x + 0.5 * torch.randn(200, 4, generator=order)
        leak = measure(guess, x, torch.zeros(200, dtype=torch.long), torch.zeros(1, 4)).leak
        covered += leak.low <= 0.75 <= leak.high
    assert covered >= 48


def test_the_interval_shrinks_with_the_records() -> None:
    guess, records = RECORDS + 0.5 * torch.randn(200, 5), RECORDS
    wide = measure(guess[:50], records[:50], LABELS[:50], MEANS).leak
    narrow = measure(guess, records, LABELS, MEANS).leak
    assert narrow.high - narrow.low < 0.8 * (wide.high - wide.low)
    assert (wide.n, narrow.n) == (50, 200)


def test_pictures_have_ssim_and_vectors_do_not() -> None:
    guess, records = pictures(6, (3, 12, 12))
    labels, means = torch.zeros(6, dtype=torch.long), records.mean(0, keepdim=True)
    found = measure(guess, records, labels, means)
    assert found.ssim is not None
    width = float(records.max() - records.min())
    assert found.ssim.value == pytest.approx(float(ssim(guess, records, width).mean()))
    assert set(found.figures()) == {"leak", "leak_95", "over_half", "psnr", "pearson", "ssim"}
    assert measure(RECORDS, RECORDS, LABELS, MEANS).ssim is None


def test_the_classifier_reads_the_reconstructions() -> None:
    class Sign(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([-x[:, 0], x[:, 0]], 1)

    labels = (RECORDS[:, 0] > 0).long()
    right = measure(RECORDS, RECORDS, labels, MEANS, classifier=Sign()).accuracy
    wrong = measure(-RECORDS, RECORDS, labels, MEANS, classifier=Sign()).accuracy
    assert right is not None
    assert wrong is not None
    assert (right.value, wrong.value) == (1.0, 0.0)


def test_measuring_is_repeatable_and_draws_nothing_of_the_callers() -> None:
    before = torch.get_rng_state()
    guess = RECORDS + 0.1
    first, again = (measure(guess, RECORDS, LABELS, MEANS).figures() for _ in range(2))
    assert first == again
    assert torch.equal(before, torch.get_rng_state())
    with pytest.raises(FrozenInstanceError):
        first["leak"].value = 3  # type: ignore[misc]


def test_the_best_of_each_record() -> None:
    guesses = [RECORDS + 1, RECORDS.clone(), RECORDS - 2]
    guesses[1][100:] += 3
    best = best_per_record(guesses, RECORDS)
    assert torch.equal(best[:100], RECORDS[:100])
    assert torch.equal(best[100:], guesses[0][100:])


def test_one_record() -> None:
    found = measure(RECORDS[:1] + 1, RECORDS[:1], LABELS[:1], MEANS)
    assert found.leak.low == found.leak.value == found.leak.high
    assert math.isfinite(found.leak.value)


@pytest.mark.parametrize(
    ("guess", "records", "labels", "means", "message"),
    [
        (RECORDS[:0], RECORDS[:0], LABELS[:0], MEANS, "no records"),
        (RECORDS[:, :3], RECORDS, LABELS, MEANS, r"reconstructions \[200, 3\]"),
        (RECORDS, RECORDS, LABELS[:7], MEANS, "a label each"),
        (RECORDS, RECORDS, LABELS, MEANS[:, :2], "need class means"),
        (RECORDS / 0, RECORDS, LABELS, MEANS, "reconstructions hold NaN or infinity"),
    ],
    ids=["nothing", "guess", "labels", "means", "not finite"],
)
def test_what_cannot_be_measured(
    guess: Tensor, records: Tensor, labels: Tensor, means: Tensor, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        measure(guess, records, labels, means)


def test_nothing_to_choose_from() -> None:
    with pytest.raises(DataError, match="no reconstruction"):
        best_per_record([], RECORDS)
    with pytest.raises(DataError, match="a reconstruction"):
        best_per_record([RECORDS[:4]], RECORDS)
