"""cleanlab's verdict on labels, given probabilities by networks that did not see them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sfumato.errors import DataError, MissingDependency, SettingError
from sfumato.label_noise.checks import check_labels


def label_issues(chances: Tensor, labels: Tensor) -> Tensor:
    """Which labels confident learning finds wrong, bool `[N]` (Northcutt et al. 2021).

    Args:
        chances: out-of-fold probabilities `[N, C]`.
        labels: as given, `[N]`.

    Raises:
        DataError: probabilities that are NaN, or labels that do not fit them.
        MissingDependency: cleanlab is not installed.
    """
    probabilities, given = _checked(chances, labels)
    find = _package("filter").find_label_issues
    return torch.from_numpy(np.asarray(find(given, probabilities, n_jobs=1))).to(labels.device)


def label_doubts(chances: Tensor, labels: Tensor) -> Tensor:
    """How doubtful each label is, `[N]`, in [0, 1]: 1 - cleanlab's normalised margin.

    The margin is (p_given - the largest other p + 1) / 2, as `cleanlab.rank` has it.

    Raises:
        DataError: probabilities that are NaN, or labels that do not fit them.
        MissingDependency: cleanlab is not installed.
    """
    probabilities, given = _checked(chances, labels)
    rank = _package("rank").get_label_quality_scores
    quality = rank(given, probabilities, method="normalized_margin")
    return 1 - torch.from_numpy(np.asarray(quality, dtype=np.float64))


def check_cleanlab() -> None:
    """Raise before long work what would be raised after it.

    Raises:
        MissingDependency: cleanlab is not installed.
    """
    _package("filter")
    _package("rank")


def _checked(chances: Tensor, labels: Tensor) -> tuple[Any, Any]:
    if chances.dim() != 2 or len(chances) != len(labels):
        raise DataError(
            f"{len(labels)} labels need probabilities [{len(labels)}, C], not {list(chances.shape)}"
        )
    check_labels(labels)
    if int(labels.max()) >= chances.shape[1]:
        raise SettingError(
            f"label {int(labels.max())} has no probability: there are {chances.shape[1]} classes"
        )
    if not bool(chances.isfinite().all()) or bool((chances < 0).any()):
        raise DataError("probabilities must be finite and at least 0")
    return chances.detach().cpu().double().numpy(), labels.cpu().numpy()


def _package(part: str) -> Any:
    try:
        import importlib

        return importlib.import_module(f"cleanlab.{part}")
    except ImportError as error:
        raise MissingDependency(
            'finding wrong labels out of fold needs cleanlab: pip install "sfumato[denoise]"'
        ) from error
