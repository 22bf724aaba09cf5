"""The hinge losses of support vector machines."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from sfumato.errors import DataError, SettingError
from sfumato.nn.values import readable
from sfumato.noise.base import at_least_float32

Kind = Literal["one-vs-rest", "crammer-singer"]


def multiclass_hinge(
    scores: Tensor,
    labels: Tensor,
    margin: float = 1.0,
    squared: bool = False,
    kind: Kind = "one-vs-rest",
) -> Tensor:
    """How far class scores stay from being right by a margin m, averaged over records.

    With scores s `[N, C]`, labels y, (·)⁺ = max(·, 0), and p = 2 if `squared`, else 1:

    - `"one-vs-rest"`: 1/N Σ_i Σ_c ((m - t_ic s_ic)⁺)^p with t_ic = 1 if c = y_i, else -1, so C
      machines, each of one class against all others (Rifkin and Klautau, 2004),
    - `"crammer-singer"`: 1/N Σ_i ((m + max_{c ≠ y_i} s_ic - s_iy_i)⁺)^p (Crammer and Singer,
      2001).

    Args:
        scores: `[N, C]`.
        labels: integers `[N]` in 0..C-1.
        margin: m, in units of the scores.
        squared: square each term, which punishes violations more and is smooth.
        kind: how several classes become one loss.

    Returns:
        A scalar.

    Raises:
        SettingError: `margin` is not above 0, or `kind` is unknown.
        DataError: shapes or labels do not fit, scores are not real numbers, or there is no record.

    Example:
        >>> import torch
        >>> scores = torch.tensor([[2.0, -1.0, 0.5]])
        >>> float(multiclass_hinge(scores, torch.tensor([0])))
        1.5
        >>> float(multiclass_hinge(scores, torch.tensor([2]), kind="crammer-singer"))
        2.5
    """
    if not 0 < margin < float("inf"):
        raise SettingError(f"margin must be above 0 and finite, not {margin}")
    _check(scores, labels)
    scores, labels = at_least_float32(scores), labels.long().unsqueeze(1)
    member = labels == torch.arange(scores.shape[1], device=labels.device)
    if kind == "one-vs-rest":
        missing = (margin - scores.where(member, -scores)).clamp(min=0)
    elif kind == "crammer-singer":
        own = scores.gather(1, labels)
        rival = scores.masked_fill(member, float("-inf")).amax(1, keepdim=True)
        missing = (margin + rival - own).clamp(min=0)
    else:
        raise SettingError(f"unknown kind={kind!r}: use 'one-vs-rest' or 'crammer-singer'")
    return (missing.square() if squared else missing).sum(1).mean()


def _check(scores: Tensor, labels: Tensor) -> None:
    for name, given in {"scores": scores, "labels": labels}.items():
        if not isinstance(given, Tensor):
            raise DataError(f"{name} must be a tensor, not {type(given).__name__}")
    if not scores.is_floating_point():
        raise DataError(f"scores must be real numbers, not {scores.dtype}: use scores.float()")
    if scores.dim() != 2 or scores.shape[0] < 1 or scores.shape[1] < 2:
        raise DataError(
            "scores must be [N, C] with at least one record and two classes, "
            f"not {list(scores.shape)}"
        )
    if labels.shape != scores.shape[:1]:
        raise DataError(f"labels must be [{len(scores)}], not {list(labels.shape)}")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise DataError(f"labels must be integers, not {labels.dtype}")
    if readable(labels):
        low, high, classes = int(labels.min()), int(labels.max()), scores.shape[1]
        if low < 0 or high >= classes:
            raise DataError(f"labels must lie in 0..{classes - 1}, but {low}..{high} occur")
