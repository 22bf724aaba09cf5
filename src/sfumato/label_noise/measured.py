"""Accuracy and calibration on clean labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor, nn

from sfumato.errors import MissingDependency, SettingError
from sfumato.label_noise.checks import check_labels, check_records
from sfumato.label_noise.outputs import mean_logits

BINS = 15


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

    The error is Σ over 15 bins of the confidence, (records in the bin / N) |accuracy - confidence|
    (Naeini et al. 2015; torchmetrics, norm l1).

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

    Raises:
        MissingDependency: torchmetrics is not installed.
    """
    try:
        from torchmetrics.functional.classification import multiclass_calibration_error
    except ImportError as error:
        raise MissingDependency(
            'the calibration error needs torchmetrics: pip install "sfumato[denoise]"'
        ) from error
    classes = chances.shape[1]
    return float(multiclass_calibration_error(chances.float(), labels, classes, n_bins=bins))
