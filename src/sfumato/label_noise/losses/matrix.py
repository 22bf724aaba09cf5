"""How labels are mistaken, read off a network that was trained on them."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from sfumato.errors import SettingError
from sfumato.label_noise.checks import check_labels, check_records
from sfumato.label_noise.outputs import mean_logits

Percentile = float | Literal["argmax"]


def estimate_matrix(
    model: nn.Module, inputs: Tensor, percentile: Percentile = 97.0, batch_size: int = 1024
) -> Tensor:
    """The matrix of label mistakes by anchor records (Patrini et al. 2017, eq. 12-13).

    For class k the anchor is the record to which the network gives k with the largest probability
    (`"argmax"`), or the one at a percentile of it over all records, which a single outlier does not
    decide. The row is what the network says of the anchor: T_kj = P̂(given = j | anchor of k).

    Args:
        model: trained on the labels as given, on the mean path; logits `[B, C]`.
        inputs: the records `[N, ...]` to look for anchors in.
        percentile: in (0, 100], 97 in the paper and in spec 4 for few classes; `"argmax"` for many.
            A class with less than 100 - percentile per cent of the records has its anchor in
            another class.
        batch_size: records at a time.

    Returns:
        T, `[C, C]`, float64; each row adds up to 1.

    Raises:
        SettingError: a percentile outside of (0, 100].
        DataError: no records, or probabilities that are NaN.
    """
    if percentile != "argmax" and not 0 < float(percentile) <= 100:
        raise SettingError(f"a percentile lies in (0, 100], not {percentile!r}; or say 'argmax'")
    chances = mean_logits(model, inputs, batch_size).double().softmax(1)
    if percentile == "argmax":
        anchors = chances.argmax(0)
    else:
        place = round(float(percentile) / 100 * (len(chances) - 1))
        anchors = chances.sort(0).indices[place]
    return chances[anchors]


def count_matrix(
    model: nn.Module, inputs: Tensor, labels: Tensor, batch_size: int = 1024
) -> Tensor:
    """The matrix of label mistakes by counting: how the records that look like k are labelled.

    T_kj is the share of label j among the records that the network assigns to class k. It uses all
    records where an anchor is one, and is right as far as the network's classes are: right classes
    need more than the network knowing its own labels by heart, so train it with a regulariser, or
    take a network that was corrected once already (two-stage estimation).

    Args:
        model: logits `[B, C]` of the true class, on the mean path.
        inputs: the records `[N, ...]`.
        labels: as given, `[N]`.
        batch_size: records at a time.

    Returns:
        T, `[C, C]`, float64; the row of a class that no record is assigned to is that of a class
        that is never mistaken.

    Raises:
        DataError: labels or records that do not fit each other, or probabilities that are NaN.
        SettingError: more classes among the labels than logits.
    """
    check_labels(labels)
    check_records(inputs, labels)
    logits = mean_logits(model, inputs, batch_size)
    classes = logits.shape[1]
    if int(labels.max()) >= classes:
        raise SettingError(f"label {int(labels.max())} has no logit: the model gives {classes}")
    places = logits.argmax(1) * classes + labels.to(logits.device)
    counts = torch.bincount(places, minlength=classes * classes).double().view(classes, classes)
    empty = counts.sum(1) == 0
    counts[empty, empty] = 1.0
    return counts / counts.sum(1, keepdim=True)
