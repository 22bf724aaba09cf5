"""What a reconstruction is worth, for each record and on average."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from sfumato.errors import DataError
from sfumato.privacy.similarity import correlation, psnr, squared_error, ssim
from sfumato.train.loop import predictions
from sfumato.train.seed import generator

RESAMPLES = 1000
HALF = 0.5


@final
@dataclass(frozen=True)
class Estimate:
    """A mean over records, or another number of them, with its 95 % confidence interval.

    Args:
        value: the figure.
        low: the lower end.
        high: the upper end.
        n: how many records.
    """

    value: float
    low: float
    high: float
    n: int


@final
@dataclass(frozen=True)
class Measured:
    """How much of the records a reconstruction has.

    Intervals are percentiles of 1,000 bootstrap resamples of the records.

    Args:
        leak: 1 - (squared error) / (squared error of the class mean), sums over all records.
        leak_95: the 95th percentile of the records' own leak, 1 - (its squared error) / (that of
            its class mean). The latter counts as at least 1 % of its average over records, so
            that a record which happens to be its class mean does not decide.
        over_half: the share of the records whose own leak is above 0.5.
        psnr: peak signal-to-noise ratio in decibel.
        pearson: correlation over the elements of a record.
        ssim: structural similarity; None for records that are no pictures.
        accuracy: of the classifier on the reconstructions; None where none is given.
        per_record: the records' own leak `[N]`.
    """

    leak: Estimate
    leak_95: Estimate
    over_half: Estimate
    psnr: Estimate
    pearson: Estimate
    ssim: Estimate | None
    accuracy: Estimate | None
    per_record: Tensor

    def figures(self) -> dict[str, Estimate]:
        """Every figure that there is, by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Estimate)}


@torch.no_grad()
def measure(
    guess: Tensor,
    records: Tensor,
    labels: Tensor,
    means: Tensor,
    *,
    classifier: nn.Module | None = None,
    data_range: float | None = None,
) -> Measured:
    """Compare reconstructions with the records.

    Args:
        guess: reconstructions `[N, *record]`.
        records: the records themselves `[N, *record]`.
        labels: `[N]`.
        means: what the label alone tells: the class means `[C, *record]` of auxiliary records.
        classifier: gives logits `[N, C]`; how well it reads the labels off reconstructions.
        data_range: largest less smallest value; by default that of the records.

    Raises:
        DataError: nothing to measure, shapes differ, or a value is NaN or infinite.
    """
    _check(guess, records, labels, means)
    width = data_range or max(float(records.max() - records.min()), 1e-12)
    missed = squared_error(guess, records)
    label_only = squared_error(means[labels], records)
    least = (0.01 * label_only.mean()).clamp(min=torch.finfo(torch.float64).tiny)
    own = 1 - missed / label_only.clamp(min=least)
    resamples = _Resamples(len(records))
    return Measured(
        leak=resamples.ratio(missed, label_only),
        leak_95=resamples.quantile(own, 0.95),
        over_half=resamples.mean((own > HALF).double()),
        psnr=resamples.mean(psnr(guess, records, width)),
        pearson=resamples.mean(correlation(guess, records)),
        ssim=resamples.mean(ssim(guess, records, width)) if records.dim() == 4 else None,
        accuracy=None if classifier is None else resamples.mean(_hits(classifier, guess, labels)),
        per_record=own.float(),
    )


def best_per_record(guesses: Sequence[Tensor], records: Tensor) -> Tensor:
    """For each record the reconstruction with the least squared error, `[N, *record]`.

    An upper bound for what these attackers reach: no one of them knows which is the best. With
    many weak guesses of noise it lies above what any of them finds.

    Raises:
        DataError: there is none, or shapes differ.
    """
    if not guesses:
        raise DataError("there is no reconstruction to choose from")
    for guess in guesses:
        _same_shape("a reconstruction", guess, records)
    errors = torch.stack([squared_error(guess, records) for guess in guesses])
    best = errors.argmin(0)
    return torch.stack(list(guesses))[best, torch.arange(len(records), device=best.device)]


@final
class _Resamples:
    """Bootstrap resamples of n records, the same for every figure."""

    def __init__(self, count: int) -> None:
        order = generator("bootstrap", count)
        # How often each record is drawn: [resamples, n] without keeping the draws.
        self.weights = torch.stack(
            [
                torch.randint(count, (count,), generator=order).bincount(minlength=count)
                for _ in range(RESAMPLES)
            ]
        ).float()
        self.count = count

    def mean(self, values: Tensor) -> Estimate:
        values = values.double().cpu()
        return self._figure(float(values.mean()), self._means(values))

    def ratio(self, top: Tensor, bottom: Tensor) -> Estimate:
        """1 - Σ top / Σ bottom."""
        top, bottom = top.double().cpu(), bottom.double().cpu()
        tiny = torch.finfo(torch.float64).tiny
        value = 1 - float(top.sum() / bottom.sum().clamp(min=tiny))
        return self._figure(value, 1 - self._means(top) / self._means(bottom).clamp(min=tiny))

    def quantile(self, values: Tensor, at: float) -> Estimate:
        values, place = values.double().cpu().sort()
        reached = self.weights[:, place].cumsum(1) >= at * self.count
        found = values[reached.float().argmax(1)]
        return self._figure(float(values.quantile(at)), found)

    def _means(self, values: Tensor) -> Tensor:
        centre = values.mean()  # taken out before the products lose it in single precision
        return (self.weights @ (values - centre).float()).double() / self.count + centre

    def _figure(self, value: float, resampled: Tensor) -> Estimate:
        low, high = resampled.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
        return Estimate(value, min(low, value), max(high, value), self.count)


def _hits(classifier: nn.Module, guess: Tensor, labels: Tensor) -> Tensor:
    return (predictions(classifier, guess) == labels).double()


def _check(guess: Tensor, records: Tensor, labels: Tensor, means: Tensor) -> None:
    if not len(records):
        raise DataError("there are no records to measure reconstructions of")
    _same_shape("reconstructions", guess, records)
    if means.shape[1:] != records.shape[1:] or len(labels) != len(records):
        raise DataError(
            f"records {list(records.shape)} need class means [C, ...] of their shape and a label "
            f"each, not {list(means.shape)} and {list(labels.shape)}"
        )
    for name, values in (("reconstructions", guess), ("records", records), ("means", means)):
        if not bool(values.isfinite().all()):
            raise DataError(f"the {name} hold NaN or infinity")


def _same_shape(what: str, guess: Tensor, records: Tensor) -> None:
    if guess.shape != records.shape:
        raise DataError(f"{what} {list(guess.shape)} of records {list(records.shape)}")
