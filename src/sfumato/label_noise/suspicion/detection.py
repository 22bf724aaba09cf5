"""How well a ranking finds the labels that are wrong, when the truth is known."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, final

import torch
from torch import Tensor

from sfumato.errors import DataError


@final
@dataclass(frozen=True)
class Detection:
    """How well suspicious labels are wrong labels.

    Args:
        auc: the probability that a wrong label is more suspicious than a right one, ties half;
            0.5 is guessing.
        average_precision: the mean precision over the wrong labels, as scikit-learn has it; `rate`
            is guessing.
        precision: of the `count` most suspicious labels, the share that is wrong.
        recall: of the wrong labels, the share that is among them.
        count: how many labels were held suspicious.
        rate: the share of wrong labels.
    """

    auc: float
    average_precision: float
    precision: float
    recall: float
    count: int
    rate: float

    def figures(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def detect(score: Tensor, wrong: Tensor, count: int) -> Detection:
    """Measure a ranking by falling `score` `[N]` against the truth `wrong`, bool `[N]`.

    Raises:
        DataError: no label is wrong, or all are: then there is nothing to tell apart.
    """
    bad = int(wrong.sum())
    good = len(wrong) - bad
    if bad == 0 or good == 0:
        raise DataError(
            f"{bad} of {len(wrong)} labels are wrong: a ranking can only be measured where some "
            "are and some are not"
        )
    found = int(wrong[:count].sum()) if count else 0
    ends = _ends(score)
    hits = wrong.double().cumsum(0)[ends]
    seen = ends.double() + 1
    new = torch.diff(hits, prepend=hits.new_zeros(1))
    clean_before = torch.cat([hits.new_zeros(1), seen - hits])
    misses = torch.diff(clean_before)
    lost = (new * (clean_before[:-1] + misses / 2)).sum() / (bad * good)
    return Detection(
        auc=float(1 - lost),
        average_precision=float((new / bad * hits / seen).sum()),
        precision=found / count if count else 0.0,
        recall=found / bad,
        count=count,
        rate=bad / len(wrong),
    )


def _ends(score: Tensor) -> Tensor:
    """The last place of each value of a falling score: equal scores are no order."""
    last = torch.ones(len(score), dtype=torch.bool)
    last[:-1] = score[1:] != score[:-1]
    return last.nonzero().squeeze(1)
