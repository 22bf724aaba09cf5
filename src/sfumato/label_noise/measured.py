"""Accuracy and calibration on clean labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor, nn

from sfumato.errors import DataError, MissingDependency, SettingError
from sfumato.label_noise.checks import check_labels, check_records
from sfumato.label_noise.outputs import mean_logits

BINS = 15
"""Of the confidence; torchmetrics sets a confidence of exactly 1 apart."""


@final
@dataclass(frozen=True)
class Quality:
    """What a network is worth on records with clean labels.

    Args:
        accuracy: the share of records whose class it gives, in [0, 1].
        calibration_error: the expected calibration error, in [0, 1].
    """

    accuracy: float
    calibration_error: float


def quality(model: nn.Module, inputs: Tensor, labels: Tensor) -> Quality:
    """Accuracy and expected calibration error on the mean path.

    The error is Σ over bins of the confidence, (records in the bin / N) |accuracy - confidence|
    (Naeini et al. 2015; torchmetrics, norm l1): 15 of equal width, and a confidence of exactly 1 is
    a bin of its own.

    Args:
        model: gives logits `[B, C]` of the true class.
        inputs: records `[N, ...]`.
        labels: clean labels `[N]`.

    Raises:
        DataError: records and labels that do not fit each other, or NaN.
        SettingError: more classes among the labels than logits.
        MissingDependency: torchmetrics is not installed.
    """
    check_records(inputs, labels)
    logits = mean_logits(model, inputs).cpu()
    # One class is enough here: only the number of logits counts.
    check_labels(labels, classes=max(2, int(labels.max()) + 1))
    if int(labels.max()) >= logits.shape[1]:
        raise SettingError(f"label {int(labels.max())} has no logit: there are {logits.shape[1]}")
    truth = labels.cpu().long()
    right = float((logits.argmax(1) == truth).double().mean())
    return Quality(right, calibration_error(logits.double().softmax(1), truth))


def calibration_error(chances: Tensor, labels: Tensor, bins: int = BINS) -> float:
    """The expected calibration error of probabilities `[N, C]`, in [0, 1].

    Args:
        chances: probabilities `[N, C]`, of at least two classes.
        labels: the true classes `[N]`.
        bins: of equal width, at least 1; a confidence of exactly 1 is one more.

    Raises:
        DataError: values that are no probabilities, or labels that do not fit them.
        SettingError: no bin.
        MissingDependency: torchmetrics is not installed.
    """
    if bins < 1:
        raise SettingError(f"bins must be at least 1, not {bins}")
    if chances.dim() != 2 or len(chances) != len(labels) or chances.shape[1] < 2:
        raise DataError(
            f"{len(labels)} labels need probabilities [{len(labels)}, 2 or more], not "
            f"{list(chances.shape)}"
        )
    check_labels(labels, chances.shape[1])
    if not bool(((chances >= 0) & (chances <= 1)).all()):
        raise DataError("probabilities must lie in [0, 1]: give softmax(logits), without NaN")
    try:
        from torchmetrics.functional.classification import multiclass_calibration_error
    except ImportError as error:
        raise MissingDependency(
            'the calibration error needs torchmetrics: pip install "sfumato[denoise]"'
        ) from error
    classes = chances.shape[1]
    return float(multiclass_calibration_error(chances.float(), labels, classes, n_bins=bins))
