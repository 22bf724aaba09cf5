"""Semantic segmentation: a class for every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato.errors import DataError, SettingError
from sfumato.pixels.tasks.base import Task, Weigh

_LEAST = 1e-4
"""The probability of a class that nobody voted for."""


@final
class Segmentation(Task):
    """One of `classes` for every pixel (spec 5, "Semantic Segmentation").

    Bought labels are shown as one-hot values, a prediction is a logit per class, the loss is the
    cross-entropy. Scores: `miou`, the mean over classes of TP / (TP + FP + FN) with the counts of
    the whole set (classes that neither occur nor are predicted are left out), and `accuracy`, the
    share of pixels that are right; both in [0, 1].

    Args:
        classes: how many, at least 2. Labels from `classes` on are void.
        names: of the classes.

    Example:
        >>> import torch
        >>> task = Segmentation(3)
        >>> target = torch.tensor([[[[0, 2]]]])
        >>> task.encode(target)[0, :, 0, 1]
        tensor([0., 0., 1.])
        >>> task.figures(task.tally(task.encode(target), target, torch.ones(1, 1, 1, 2).bool()))
        {'miou': 1.0, 'accuracy': 1.0}
    """

    headline = "miou"

    def __init__(self, classes: int, names: Sequence[str] | None = None) -> None:
        if classes < 2:
            raise SettingError(f"a segmentation needs at least 2 classes, not {classes}")
        self.classes = classes
        self.names = tuple(map(str, range(classes) if names is None else names))
        if len(self.names) != classes:
            raise SettingError(f"{classes} classes have {len(self.names)} names: {self.names}")

    @property
    def channels(self) -> int:
        return self.classes

    @property
    def outputs(self) -> int:
        return self.classes

    def encode(self, target: Tensor) -> Tensor:
        known = (target >= 0) & (target < self.classes)
        plane = F.one_hot(target.clamp(0, self.classes - 1).squeeze(1).long(), self.classes)
        return plane.movedim(3, 1).float() * known

    def expand(self, values: Tensor) -> Tensor:
        return values.clamp_min(_LEAST).log()

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        classes = target.squeeze(1).clamp(0, self.classes - 1).long()
        return F.cross_entropy(prediction, classes, reduction="none").unsqueeze(1)

    def balanced(self, targets: Tensor, valid: Tensor, power: float) -> Weigh:
        known = targets[valid].long()
        counts = torch.bincount(known, minlength=self.classes).float()
        weights = (counts.clamp_min(1) / counts.sum()) ** -power
        weights = weights * counts.sum() / (weights * counts).sum()
        return lambda target: weights[target.clamp(0, self.classes - 1).long()]

    def decode(self, prediction: Tensor) -> Tensor:
        return prediction.argmax(1, keepdim=True)

    def tally(self, prediction: Tensor, target: Tensor, counted: Tensor) -> Tensor:
        """The confusion `[C, C]`: rows are the true classes, columns the predicted ones."""
        pair = target[counted].long() * self.classes + self.decode(prediction)[counted]
        counts = torch.bincount(pair, minlength=self.classes**2)
        return counts.reshape(self.classes, self.classes).double()

    def figures(self, tally: Tensor) -> dict[str, float]:
        hits, union = tally.diagonal(), tally.sum(0) + tally.sum(1) - tally.diagonal()
        if not bool(union.sum()):
            return {}
        miou = (hits[union > 0] / union[union > 0]).mean()
        return {"miou": float(miou), "accuracy": float(hits.sum() / tally.sum())}

    def check(self, targets: Tensor, valid: Tensor) -> None:
        if targets.dim() != 4 or targets.shape[1] != 1 or targets.is_floating_point():
            raise DataError(
                "the targets of a segmentation are whole numbers [N, 1, H, W], not "
                f"{targets.dtype} {list(targets.shape)}"
            )
        known = targets[valid]
        if not len(known):
            raise DataError("every pixel is void: there is nothing to learn")
        if int(known.min()) < 0 or int(known.max()) >= self.classes:
            raise DataError(
                f"labels run from {int(known.min())} to {int(known.max())} where 0 to "
                f"{self.classes - 1} are classes: mark others as not valid"
            )

    def settings(self) -> dict[str, object]:
        return {"task": "segmentation", "classes": self.classes, "names": list(self.names)}
