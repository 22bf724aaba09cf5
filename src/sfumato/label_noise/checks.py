"""What every entry point asks of labels and records, and how it says no."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from sfumato.errors import DataError, SettingError


def check_labels(labels: Tensor, classes: int | None = None) -> int:
    """The number of classes of `labels` `[N]`.

    Args:
        labels: whole numbers from 0.
        classes: how many classes there are; by default one more than the largest label.

    Raises:
        DataError: no labels, labels that are no whole numbers, below 0 or beyond the classes, or
            one class only.
    """
    if not isinstance(labels, Tensor) or labels.dim() != 1 or len(labels) == 0:
        shape = list(labels.shape) if isinstance(labels, Tensor) else type(labels).__name__
        raise DataError(f"labels must be a tensor [N] with at least one label, not {shape}")
    if labels.dtype.is_floating_point or labels.dtype.is_complex or labels.dtype == torch.bool:
        raise DataError(
            f"labels must be whole numbers (torch.int64), not {labels.dtype}: use labels.long()"
        )
    lowest, highest = int(labels.min()), int(labels.max())
    found = highest + 1 if classes is None else classes
    if lowest < 0 or highest >= found:
        raise DataError(f"labels must lie in 0 to {found - 1}, not in {lowest} to {highest}")
    if found < 2 or (classes is None and lowest == highest):
        raise DataError(
            f"all {len(labels)} labels are of one class ({lowest}): there is nothing to confuse it "
            "with; give records of at least two classes"
        )
    return found


def check_records(inputs: Tensor, labels: Tensor) -> None:
    """Raise unless there is one record, without NaN or infinities, for each label.

    Raises:
        DataError: no tensor, another number of records than of labels, or values that are not
            finite.
    """
    if not isinstance(inputs, Tensor) or inputs.dim() == 0:
        raise DataError(f"records must be a tensor [N, ...], not {type(inputs).__name__}")
    if len(inputs) != len(labels):
        raise DataError(
            f"{len(inputs)} records have {len(labels)} labels: one label each is needed"
        )
    if inputs.is_floating_point() and not bool(inputs.isfinite().all()):
        bad = (~inputs.isfinite().reshape(len(inputs), -1).all(1)).nonzero()[0]
        raise DataError(
            f"record {int(bad)} holds NaN or infinite values: leave it out or repair it"
        )


def check_share(name: str, value: float) -> None:
    """Raise unless `value` lies in [0, 1].

    Raises:
        SettingError: it does not, or is NaN.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise SettingError(f"{name} must lie in [0, 1], not {value!r}")


def fingerprint(labels: Tensor) -> str:
    """The SHA-256 of labels, whatever their integer type and device."""
    return hashlib.sha256(labels.detach().cpu().long().numpy().astype("<i8").tobytes()).hexdigest()
