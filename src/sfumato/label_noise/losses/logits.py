"""Logits that fit their labels."""

from __future__ import annotations

from torch import Tensor

from sfumato.errors import SettingError


def check_logits(logits: Tensor, labels: Tensor) -> None:
    """Raise unless there are logits `[B, C]` with a class for each label.

    Raises:
        SettingError: another shape, or a label beyond the classes.
    """
    size, classes = len(labels), int(labels.max()) + 1
    if logits.dim() != 2 or len(logits) != size or logits.shape[1] < classes:
        raise SettingError(
            f"the model must give logits [{size}, {classes} or more] for {size} records with "
            f"labels up to {classes - 1}, not {list(logits.shape)}"
        )
